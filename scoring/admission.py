"""Whether decisions may be answered at all: not on a record that was rolled back, nor on one that cannot keep up."""

import threading
import time

from registry import ledger, standing
from registry.refusals import Mismatch, Unavailable
from scoring import contact, shedding

FRESH = 1.0  # seconds for which what was found holds
OLDEST = 10.0  # seconds after which it is believed by nobody
PATIENCE = 5.0  # seconds that a request waits, without an answer to believe, for the one that asks

room = shedding.room  # whether a request is admitted that waited in line

_NEVER = (float("-inf"), None)

_lock = threading.Lock()
_found: tuple[float, str | None] = _NEVER  # when it was begun to ask (monotonic seconds), and the refusal


def demand() -> None:
    """Raise Unavailable while no decision may be accepted; asked of database and anchor once a second a process.

    One request asks, the others go by what was found last: not before anything was found, nor when that is old because
    the asking hangs or fails. Where a watcher asks, no request does; and while it finds the database gone, what it
    found last holds for as long as policies let answers be kept in the journal.
    """
    if not contact.watched() and _age() >= FRESH:
        ask(PATIENCE if _age() >= OLDEST else 0)
    if _age() >= OLDEST and not (contact.gone() and _age() < float("inf")):
        raise Unavailable(
            f"For {OLDEST:.0f} s it could not be found out whether the record stands: the database or the anchor of "
            "the log does not answer. Nothing is decided that might not be proven; try again when they do."
        )
    if refusal := _found[1]:
        raise Unavailable(refusal)


def forget() -> None:
    """Ask anew before the next answer."""
    global _found
    _found = _NEVER


def _age() -> float:
    return time.monotonic() - _found[0]


def ask(patience: float = 0) -> None:
    """Find out how the record stands, unless another thread has done so meanwhile or keeps at it for too long."""
    global _found
    if not _lock.acquire(timeout=patience):
        return
    try:
        begun = time.monotonic()
        if _age() >= FRESH:
            _found = (begun, _refusal())
    finally:
        _lock.release()


def _refusal() -> str | None:
    try:
        for log in ledger.LOGS:
            standing.demand_unbroken(log)
        standing.demand_room(ledger.DECISIONS)
    except (Mismatch, Unavailable) as refusal:
        return refusal.detail
    return None
