"""One process of the platform: its command, its whole environment, and its end, with all its children."""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from governance.platform.home import PROJECT

_PR_SET_PDEATHSIG = 1
_LARGE_LOG = 10_000_000
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Process:
    """What to start, and how it says that it is ready; without `ready` nobody waits for it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool] | None = None
    restart: bool = True
    stop: signal.Signals = signal.SIGTERM
    console: bool = False  # speaks to the terminal itself instead of into a log
    account: tuple[int, int] | None = None  # (user, group), where it may not be root
    folder: Path = PROJECT
    nice: int = 0  # how much it gives way to the others when all want the processors


class Child:
    """A started process: a session of its own, so that all its children can be ended with it."""

    def __init__(self, process: Process, logs: Path, echo: Callable[[str], None] | None) -> None:
        """Start it; `echo` is told every line it writes."""
        self.process, self.started = process, time.monotonic()
        self._echo, self._rest = echo, b""
        self._log: BinaryIO | None = None if process.console else _log(logs / f"{process.name}.log")
        output = None if process.console else subprocess.PIPE
        user, group = process.account or (None, None)
        self._popen = subprocess.Popen(
            process.argv,
            env=process.env,
            cwd=process.folder,
            stdin=None if process.console else subprocess.DEVNULL,
            stdout=output,
            stderr=None if process.console else subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if group is None else [],
            umask=0o077,
            preexec_fn=_bound_to_us(process.stop, process.nice),  # the supervisor has one thread, so this is safe
        )
        self.pid = self._popen.pid
        if self._popen.stdout:
            os.set_blocking(self._popen.stdout.fileno(), False)

    def register(self, selector: selectors.BaseSelector) -> None:
        """Let the selector wake up when it writes."""
        if self._popen.stdout:
            selector.register(self._popen.stdout, selectors.EVENT_READ, self)

    def pump(self, selector: selectors.BaseSelector) -> None:
        """Pass on what it wrote: complete lines, each with its name."""
        if self._popen.stdout is None or self._log is None or self._popen.stdout.closed:
            return
        with suppress(BlockingIOError):
            while chunk := os.read(self._popen.stdout.fileno(), 65536):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                self._write(lines)
            selector.unregister(self._popen.stdout)
            self._popen.stdout.close()

    def exited(self) -> bool:
        """Tell whether it ended, without reaping it: until then its group's number stays its own."""
        if self._popen.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to all its group; nothing happens if it has ended."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.pid, number)

    def end(self, selector: selectors.BaseSelector) -> int:
        """Kill what is left of it and its group; return its exit code (128 + n after signal n)."""
        self.signal(signal.SIGKILL, group=True)
        code = self._popen.wait()
        self.pump(selector)
        if self._popen.stdout and not self._popen.stdout.closed:
            selector.unregister(self._popen.stdout)
            self._popen.stdout.close()
        if self._log:
            self._write([self._rest] if self._rest else [])
            self._log.close()
        return code if code >= 0 else 128 - code

    def _write(self, lines: list[bytes]) -> None:
        for line in lines:
            text = f"{self.process.name:<9} | {line.decode(errors='replace')}"
            if self._log:
                self._log.write(text.encode() + b"\n")
            if self._echo:
                self._echo(text)
        if self._log:
            self._log.flush()


def _log(path: Path) -> BinaryIO:
    """Open for appending; a large one is put aside, once, so that a laptop's disk never fills up."""
    if path.exists() and path.stat().st_size > _LARGE_LOG:
        path.replace(path.with_suffix(".1.log"))
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _bound_to_us(number: signal.Signals, nice: int) -> Callable[[], None]:
    """Give way as told; ask Linux to send the signal when the supervisor dies; the guardian does the rest."""
    parent = os.getpid()

    def bind() -> None:
        os.nice(nice)
        if sys.platform == "linux":
            _libc.prctl(_PR_SET_PDEATHSIG, int(number))
            if os.getppid() != parent:
                os._exit(1)

    return bind
