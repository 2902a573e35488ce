"""What is not answered in the loop: a few threads ask the application, and the loop is woken with what it answered."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

Work = Callable[[], bytes]
Told = Callable[[bytes], None]


class Asides:
    """A few threads. `wake` is the descriptor of a pipe on which the loop listens."""

    def __init__(self, threads: int, queue: int, wake: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="aside")
        self._most, self._wake = threads + queue, wake
        self._done: deque[tuple[Told, bytes]] = deque()
        self.waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether as much is being done or waits as may."""
        return self.waiting >= self._most

    def give(self, work: Work, told: Told) -> None:
        """Let a thread work; what it returns is told in the thread that calls `collect`. `work` raises nothing."""
        self.waiting += 1
        self._threads.submit(self._work, work, told)

    def collect(self) -> None:
        """Tell what was done since."""
        while self._done:
            told, data = self._done.popleft()
            self.waiting -= 1
            told(data)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work(self, work: Work, told: Told) -> None:
        self._done.append((told, work()))
        with suppress(BlockingIOError):  # then the pipe is full of wakings
            os.write(self._wake, b".")
