"""What one thread waits for: sockets that can be read or written, by epoll, and who is told."""

import select
import time
from collections.abc import Callable
from contextlib import suppress

IN, OUT, END = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP | select.EPOLLERR

_AT_ONCE = 0.0002  # seconds of a wait that was none: what happened may have done so before it

Ready = Callable[[int], None]  # called with the mask of what happened


class Poll:
    """The descriptors that are watched. Nothing else blocks the thread that calls `turn`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._turned = self._came = time.thread_time()

    @property
    def waited(self) -> float:
        """Return for how long what is told of now may have stood in line, in seconds of this thread's own work.

        Work, not time: a stall of the whole machine is no line that refusing somebody would shorten.
        """
        return time.thread_time() - self._came

    def watch(self, number: int, mask: int, ready: Ready) -> None:
        """Call `ready` whenever a descriptor is what `mask` asks for."""
        self._ready[number] = ready
        self._epoll.register(number, mask)

    def change(self, number: int, mask: int) -> None:
        """Ask for something else of a descriptor."""
        self._epoll.modify(number, mask)

    def forget(self, number: int) -> None:
        """Watch a descriptor no longer; call it before it is closed."""
        if self._ready.pop(number, None):
            with suppress(OSError):
                self._epoll.unregister(number)

    def turn(self, patience: float) -> None:
        """Wait at most `patience` seconds for something to happen, and tell everybody whom it concerns."""
        began = time.monotonic()
        events = self._epoll.poll(patience)
        before, self._turned = self._turned, time.thread_time()
        self._came = self._turned if time.monotonic() - began > _AT_ONCE else before
        for number, mask in events:
            ready = self._ready.get(number)
            if ready:
                ready(mask)
