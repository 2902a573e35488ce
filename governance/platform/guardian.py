"""Outlives a killed supervisor just long enough to end every process it had started.

Run as a script of its own, so that it imports nothing of the project. Its standard input is a pipe from
the supervisor, which tells it process groups ("+ 123 15": end group 123 with signal 15; "- 123": it has
ended). The pipe's end is the supervisor's end, however it came: then all groups still known are asked to
end, and killed if they do not. It inherits the lock of the data folder, so that nobody starts before that.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

_GRACE = 5.0


class Guardian:
    """The supervisor's side of the pipe."""

    def __init__(self, lock: int) -> None:
        """Start the guardian in a session of its own, where no Ctrl-C reaches it."""
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.abspath(__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lock],
            cwd="/",
            env={},
        )

    def add(self, group: int, stop: signal.Signals) -> None:
        """Have the group ended, with this signal first, should the supervisor die."""
        self._tell(f"+ {group} {int(stop)}\n")

    def remove(self, group: int) -> None:
        """Forget a group that has ended: its number may soon be somebody else's."""
        self._tell(f"- {group}\n")

    def close(self) -> None:
        """Let it go."""
        if self._popen.stdin:
            with suppress(BrokenPipeError):
                self._popen.stdin.close()
        self._popen.wait()

    def _tell(self, line: str) -> None:
        # Without a guardian children are still bound to the supervisor by the kernel: carry on.
        if self._popen.stdin:
            with suppress(BrokenPipeError):
                self._popen.stdin.write(line.encode())
                self._popen.stdin.flush()


def _watch() -> dict[int, int]:
    """Return the groups that are left when the supervisor is gone."""
    groups: dict[int, int] = {}
    for line in sys.stdin:
        sign, group, *stop = line.split()
        if sign == "+":
            groups[int(group)] = int(stop[0])
        else:
            groups.pop(int(group), None)
    return groups


def _signal(group: int, number: int) -> bool:
    """Tell whether somebody was there to hear it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _end(groups: dict[int, int]) -> None:
    left = [group for group, stop in groups.items() if _signal(group, stop)]
    deadline = time.monotonic() + _GRACE
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [group for group in left if _signal(group, 0)]
    for group in left:
        _signal(group, signal.SIGKILL)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _end(_watch())
