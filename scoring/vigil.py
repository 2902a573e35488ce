"""The watcher of a scoring process: a thread that brings off the request path what requests would else ask for.

It begins after a fork, and looks twice a second, or as soon as the database notifies it: which deployments are newest
(packages are loaded in threads beside it, so that nothing waits for a slow one), which tokens count, how the record
stands. What it found last holds while the database is gone, as long as policies allow; when it is back, what the
journal of this host keeps is drained.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import Error, connection
from django.utils import timezone

from registry import credentials
from registry.refusals import Mismatch, Refusal
from scoring import admission, contact, draining, outages, serving

INTERVAL = 0.5  # seconds between two rounds; a revoked token counts for no more than these and FRESH together
FRESH = 1.0  # seconds after which tokens are brought again
LOADERS = 4  # packages of different models that are loaded at once
SCOPES = ("scoring.score", "scoring.record_outcome")

_JOURNAL = "\0journal"  # beside the names of models

log = logging.getLogger(__name__)


class Vigil(threading.Thread):
    """The thread of one process."""

    def __init__(self) -> None:
        super().__init__(name="vigil", daemon=True)
        self.process = os.getpid()
        self.rounds = 0  # that got all their answers
        self.damaged: list[str] = []  # what is wrong with the journal
        self.lost: list[str] = []  # journals that were taken away before they were drained
        self._ended = threading.Event()
        self._tokens_at = float("-inf")
        self._loaders = ThreadPoolExecutor(LOADERS, thread_name_prefix="loader")
        self._at_work: dict[str, Future[None]] = {}

    def run(self) -> None:
        """Look, again and again, until told to end."""
        while not self._ended.is_set():
            self.look()
            contact.wake.wait(INTERVAL)
            contact.wake.clear()
        connection.close()

    def end(self) -> None:
        """End after the round that is under way."""
        self._ended.set()
        contact.wake.set()
        self.join()
        self._loaders.shutdown()

    def look(self) -> None:
        """Do one round; whatever breaks it is tried again in the next."""
        begun = time.monotonic()
        try:
            self._round(begun)
        except Error as error:
            if not contact.gone():
                log.warning("the database does not answer, decisions go to the journal: %s", type(error).__name__)
            contact.lost()
            credentials.cut_off()
            connection.close()
        except Exception:
            log.exception("a round of the watcher broke")
            connection.close()

    def _round(self, begun: float) -> None:
        for name in serving.behind():
            self._start(name, lambda name=name: serving.bring(name, now=timezone.now()))  # type: ignore[misc]
        if begun - self._tokens_at >= FRESH:
            credentials.bring(SCOPES, timezone.now())
            self._tokens_at = begun
        admission.ask()
        contact.met(begun)
        self.rounds += 1
        if outages.journal.waits:
            self._start(_JOURNAL, self._drain)
        elif outages.journal.head or outages.vanished:
            with outages.journal.locked():
                self.lost = draining.lost()

    def _drain(self) -> None:
        try:
            draining.drain(timezone.now())
            self.damaged = []
        except Mismatch as mismatch:
            if not self.damaged:
                log.error("%s", mismatch.detail)
            self.damaged = [mismatch.detail]

    def _start(self, name: str, work: Callable[[], object]) -> None:
        """Let one of the threads beside do something, unless one is at it."""
        at_work = self._at_work.get(name)
        if at_work is None or at_work.done():
            self._at_work[name] = self._loaders.submit(_worked, name, work)


def _worked(name: str, work: Callable[[], object]) -> None:
    try:
        work()
    except (Error, Refusal) as error:
        log.warning("%s: %s", name, error)
    except Exception:
        log.exception("%s: what the watcher began, broke", name)
    finally:
        connection.close()


_vigil: Vigil | None = None


def begin() -> None:
    """Watch from now on; once in each process, again in one that is forked from it."""
    global _vigil
    if _vigil is None or _vigil.process != os.getpid():
        contact.begin()
        _vigil = Vigil()
        _vigil.start()


def end() -> None:
    """Watch no more."""
    global _vigil
    if _vigil and _vigil.process == os.getpid():
        _vigil.end()
    _vigil = None
    contact.end()
    credentials.forget()


def _forked() -> None:
    if _vigil is not None:
        begin()


def faults() -> list[str]:
    """Return what must not be and is: a journal that was taken away, or is damaged."""
    if _vigil is None:
        return []
    damaged = outages.journal.damage()
    return [*_vigil.lost, *([damaged] if damaged else _vigil.damaged)]


def figures() -> dict[str, float | int]:
    """Return how long ago the database last said what counts (seconds), and what the host keeps for it (bytes)."""
    if _vigil is None:
        return {}
    age = round(contact.age(), 1) if _vigil.rounds else -1
    return {"seconds_since_contact": age, "journal_bytes": outages.journal.size}


def unready() -> list[str]:
    """Return what keeps this process from answering; nothing when it answers. Without a watcher, nothing does."""
    if _vigil is None:
        return []
    if not _vigil.rounds:
        return ["the database has not said yet what is to be served"]
    return [f"the champion of {name} is being verified and loaded" for name in serving.missing()]


os.register_at_fork(after_in_child=_forked)
