"""The database taken away for a while, in two ways, and scoring workers killed."""

import os
import random
import signal
import time
from collections.abc import Callable

from tests.benchmarks.scoring import processes
from tests.benchmarks.scoring.ours import Ours


def stopped(made: Ours, seconds: float) -> None:
    """Shut PostgreSQL down, and hold the one that the platform starts in its place still before it listens."""
    gone = set(made.postgres())
    os.kill(made.postgres()[0], signal.SIGINT)
    end = time.monotonic() + seconds
    held: set[int] = set()
    while time.monotonic() < end:
        fresh = set(made.postgres()) - gone - held
        processes.tell(fresh, signal.SIGSTOP)
        held |= fresh
        time.sleep(0.005 if not held else 0.1)
    processes.tell(held, signal.SIGCONT)


def hung(made: Ours, seconds: float) -> None:
    """Let PostgreSQL hang with every connection open; then kill it, so that it has to recover."""
    everybody = made.postgres()
    processes.tell(everybody, signal.SIGSTOP)
    time.sleep(seconds)
    processes.tell(everybody, signal.SIGKILL)


KINDS: dict[str, Callable[[Ours, float], None]] = {"stopped": stopped, "hung, then killed": hung}


def kill_a_worker(made: Ours) -> int:
    """Kill a scoring worker at random, so that it can say nothing; return how many were killed."""
    workers = made.workers()
    if workers:
        processes.tell([random.choice(workers)], signal.SIGKILL)
    return len(workers[:1])
