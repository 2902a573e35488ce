"""Starts processes in order, keeps them running, and stops them in reverse; none outlives it."""

import os
import selectors
import signal
import sys
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

from governance.platform.guardian import Guardian
from governance.platform.home import CannotStart, Home
from governance.platform.process import Child, Process

_ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STEP = 0.05  # seconds between two looks at the processes
_WITHIN = 120.0  # seconds for a process to become ready
_GRACE = 15.0  # seconds for a process to stop by itself
_STEADY = 30.0  # seconds after which a process counts as started well
_LONGEST_PAUSE = 30.0
_LAST_LINES = 15


def say(text: str) -> None:
    """Tell the operator; standard output stays the command's own."""
    print(text, file=sys.stderr, flush=True)


class Asked(BaseException):
    """The operator asked for the end (Ctrl-C, SIGTERM, a closed terminal)."""

    def __init__(self, number: int) -> None:
        """Keep which signal it was."""
        super().__init__(number)
        self.number = signal.Signals(number)


class Watched:
    """A process that is kept running, and its present incarnation."""

    def __init__(self, process: Process) -> None:
        """Not started yet."""
        self.process = process
        self.child: Child | None = None
        self.code: int | None = None  # of the incarnation that ended last
        self.kept = False  # it has been ready: if it ends now, it is started again
        self.failures = 0
        self.due = 0.0


class Supervisor:
    """One thread runs it all: Linux ends a child with the thread that started it, not the process."""

    def __init__(self, home: Home, lock: int) -> None:
        """Take charge of a locked data folder."""
        self._logs, self._guardian = home.folder("log"), Guardian(lock)
        self._selector = selectors.DefaultSelector()
        self._echo = say if os.environ.get("VERBOSE") == "1" else None
        self._groups: list[list[Watched]] = []  # in the order they were started
        self._asked: list[int] = []
        self._stopping = False
        self._make = os.getppid() if "MAKELEVEL" in os.environ else None  # killed, it cannot tell us to stop
        self.interrupted = False  # the console's process was asked to end: being asked again ends all
        self._before = {number: signal.signal(number, self._ask) for number in _ASKS}

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave no process behind."""
        self.stop()
        self._guardian.close()
        self._selector.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def start(self, *processes: Process) -> None:
        """Start these together; return when those that say so are ready, refuse if one ends before."""
        group = [Watched(process) for process in processes]
        self._groups.append(group)
        for watched in group:
            watched.kept = watched.process.ready is None
            self._spawn(watched)
        began = time.monotonic()
        while waiting := [watched for watched in group if not watched.kept]:
            self._turn()
            for watched in waiting:
                self._check(watched, began)

    def run(self, process: Process) -> int:
        """Run a process to its end, return its exit code; one on the console is told what we are asked."""
        watched = Watched(process)
        self._groups.append([watched])
        self._spawn(watched)
        while watched.code is None:
            try:
                self._turn()
            except Asked as asked:
                if not process.console or self.interrupted or not watched.child:
                    raise
                self.interrupted = True
                watched.child.signal(asked.number, group=True)
        self._groups.pop()
        return watched.code

    def wait(self) -> int:
        """Keep everything running until asked to stop."""
        with suppress(Asked):
            while True:
                self._turn()
        return 0

    def stop(self) -> None:
        """Stop everything, what was started last first; kill what does not stop in time."""
        self._stopping = True
        for group in reversed(self._groups):
            for watched in group:
                if watched.child:
                    watched.child.signal(watched.process.stop)
            deadline = time.monotonic() + _GRACE
            impatience = len(self._asked)
            while any(watched.child for watched in group):
                self._turn()
                if time.monotonic() > deadline or len(self._asked) > impatience:
                    for watched in group:
                        self._bury(watched)
        self._groups.clear()

    def last_lines(self, name: str) -> str:
        """Return the end of a process's log, for the message that it failed."""
        log = self._logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-_LAST_LINES:])

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked.append(number)

    def _turn(self) -> None:
        """Pass on output, bury the dead, start again what is due, for one step of time."""
        for key, _ in self._selector.select(_STEP):
            key.data.pump(self._selector)
        for watched in [watched for group in self._groups for watched in group]:
            if watched.child and watched.child.exited():
                self._bury(watched)
            if not watched.child and self._again(watched):
                self._spawn(watched)
        if self._make and os.getppid() != self._make:
            self._make = None
            self._asked.append(signal.SIGHUP)
        if self._asked and not self._stopping:
            raise Asked(self._asked.pop())

    def _spawn(self, watched: Watched) -> None:
        process = watched.process
        try:
            watched.child = Child(process, self._logs, self._echo)
        except OSError as error:
            raise CannotStart(f"{process.name} cannot be started: {error}.") from error
        watched.code = None
        self._guardian.add(watched.child.pid, process.stop)
        watched.child.register(self._selector)

    def _check(self, watched: Watched, began: float) -> None:
        process = watched.process
        if watched.code is not None:
            raise CannotStart(
                f"{process.name} ended with code {watched.code} before it was ready. Its last lines "
                f"({self._logs}/{process.name}.log):\n{self.last_lines(process.name)}"
            )
        if process.ready and process.ready():
            watched.kept = True
            say(f"{process.name} ready in {time.monotonic() - began:.1f} s")
        elif time.monotonic() - began > _WITHIN:
            raise CannotStart(
                f"{process.name} was not ready within {_WITHIN:.0f} s. Its last lines "
                f"({self._logs}/{process.name}.log):\n{self.last_lines(process.name)}"
            )

    def _bury(self, watched: Watched) -> None:
        if watched.child is None:
            return
        child, watched.child = watched.child, None
        watched.code = child.end(self._selector)
        self._guardian.remove(child.pid)
        if self._stopping or not (watched.kept and watched.process.restart):
            return
        steady = time.monotonic() - child.started > _STEADY
        watched.failures = 0 if steady else watched.failures + 1
        pause = min(_LONGEST_PAUSE, 0.25 * 2**watched.failures)
        watched.due = time.monotonic() + pause
        say(f"{child.process.name} ended with code {watched.code}; starting it again in {pause:.1f} s")

    def _again(self, watched: Watched) -> bool:
        wanted = watched.kept and watched.process.restart and not self._stopping
        return wanted and time.monotonic() >= watched.due
