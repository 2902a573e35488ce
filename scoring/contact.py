"""Whether this process is in contact with the database, as its watcher and its failed commits find out.

Without a watcher (commands, tests) nothing is assumed: whoever needs the database asks it.
"""

import threading
import time

_watched = False
_met = float("-inf")  # monotonic seconds when the last round of the watcher began that got all its answers
_lost = False
wake = threading.Event()  # lets the watcher look now, not at its next round


def begin() -> None:
    """From now on a watcher says how it stands."""
    global _watched, wake
    _watched, wake = True, threading.Event()  # of a process that forked, the event may be held by a thread left behind


def end() -> None:
    """No watcher is at work any more."""
    global _watched, _met, _lost
    _watched, _met, _lost = False, float("-inf"), False


def watched() -> bool:
    """Say whether a watcher brings what requests need, so that they ask the database for nothing."""
    return _watched


def met(begun: float) -> None:
    """Take note that the database answered a round that begun at this moment (monotonic seconds)."""
    global _met, _lost
    _met, _lost = begun, False


def lost() -> None:
    """Take note that the database did not answer; it counts as gone until the watcher meets it again."""
    global _lost
    if not _lost:
        _lost = True
        wake.set()


def gone() -> bool:
    """Say whether the database is known not to answer."""
    return _watched and _lost


def age() -> float:
    """Return for how many seconds nobody has heard what serves, who may ask and how the record stands."""
    return time.monotonic() - _met
