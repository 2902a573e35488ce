"""Whether decisions may be answered at all: not on a record that was rolled back, nor on one that cannot keep up."""

import threading
import time

from registry import ledger, standing
from registry.refusals import Mismatch, Unavailable

FRESH = 1.0  # seconds for which what was found holds

_lock = threading.Lock()
_asked = float("-inf")
_refusal: str | None = None


def demand() -> None:
    """Raise Unavailable while no decision may be accepted; asked of database and anchor once a second a process."""
    global _asked, _refusal
    if time.monotonic() - _asked >= FRESH and _lock.acquire(blocking=False):
        try:
            _refusal = _found()
            _asked = time.monotonic()
        finally:
            _lock.release()
    if _refusal:
        raise Unavailable(_refusal)


def forget() -> None:
    """Ask anew before the next answer."""
    global _asked
    _asked = float("-inf")


def _found() -> str | None:
    try:
        for log in ledger.LOGS:
            standing.demand_unbroken(log)
        standing.demand_room(ledger.DECISIONS)
    except (Mismatch, Unavailable) as refusal:
        return refusal.detail
    return None
