"""Interrupt a sequencer at the n-th thing it does to the world, before or after that took effect.

What counts: every statement and commit, every file made, flushed, renamed or removed, every folder made, every request
to a witness. `python -m tests.faults LOG NUMBER before|after` kills its own process there.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import httpx
import pytest
from django.db import connection

CALLS = ("fsync", "replace", "mkdir", "unlink", "rmdir")  # of os
OTHERS = "witness"  # the name of a thread that plays another process


class Interrupted(BaseException):
    """The process ends here; nothing of it runs afterwards, not even its cleaning up."""


class Steps:
    """What was done, in its order; at step number `at` (from 1 on) comes the end."""

    def __init__(self, at: int | None = None, *, after: bool = False, kill: bool = False) -> None:
        self.at, self.after, self.kill = at, after, kill
        self.done: list[str] = []
        self.ended = False
        self._lock = threading.Lock()

    def take(self, name: str, act: Callable[[], Any]) -> Any:
        """Do one thing, unless the end comes before it."""
        if threading.current_thread().name == OTHERS:
            return act()
        with self._lock:
            if self.ended:
                raise Interrupted
            self.done.append(name)
            last = self.ended = len(self.done) == self.at
        if last and not self.after:
            self._end()
        result = act()
        if last:
            self._end()
        return result

    def _end(self) -> None:
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Interrupted

    @contextmanager
    def watching(self) -> Iterator["Steps"]:
        """Take account of all that this process does."""
        with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(self._statement):
            for name in CALLS:
                patch.setattr(os, name, self._taken(name, getattr(os, name)))
            patch.setattr(Path, "open", self._opened(Path.open))
            patch.setattr(httpx.Client, "send", self._taken("ask", httpx.Client.send))
            patch.setattr(connection, "_commit", self._in_session("commit", connection._commit))
            yield self

    def _taken(self, name: str, call: Callable) -> Callable:
        return lambda *given, **named: self.take(name, lambda: call(*given, **named))

    def _opened(self, call: Callable) -> Callable:
        def opened(path: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
            if mode != "xb":
                return call(path, mode, *given, **named)
            return self.take("create", lambda: call(path, mode, *given, **named))

        return opened

    def _in_session(self, name: str, call: Callable) -> Callable:
        """Let the session end with the process: the server rolls back what was not committed."""

        def done(*given: Any) -> Any:
            try:
                return self.take(name, lambda: call(*given))
            except Interrupted:
                connection.connection.close()
                raise

        return done

    def _statement(self, execute: Callable, sql: str, *more: Any) -> Any:
        return self._in_session(" ".join(sql.split()[:3]), lambda: execute(sql, *more))()


def work(log: str, steps: Steps) -> None:
    """Take up a log and sequence what is pending, until the end comes."""
    with steps.watching():
        sequencing.Sequencer.open(log).advance(timezone.now())


if __name__ == "__main__":
    django.setup()

from django.utils import timezone  # noqa: E402

from registry import sequencing  # noqa: E402

if __name__ == "__main__":
    work(sys.argv[1], Steps(int(sys.argv[2]), after=sys.argv[3] == "after", kill=True))
