"""Processes as /proc shows them: who descends from whom, what each has used, and stopping them for a while."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(number: int) -> list[str]:
    """Return the fields of a process after its name, from its state on; none when it is gone."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def everybody() -> dict[int, int]:
    """Return each process with its parent."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return {number: int(stat[1]) for number in numbers if (stat := _stat(number))}


def family(root: int) -> list[int]:
    """Return a process and all that descend from it, parents first."""
    parents, found = everybody(), [root]
    for one in found:
        found += [number for number, parent in parents.items() if parent == one]
    return found


def cpu(numbers: Iterable[int]) -> float:
    """Return the CPU seconds that these have used, with those of their children that ended."""
    return sum(sum(int(ticks) for ticks in _stat(number)[11:15]) for number in numbers) / TICKS


def command(number: int) -> list[str]:
    """Return what a process was started with."""
    with suppress(OSError):
        return Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    return []


def memory(number: int) -> dict[str, float]:
    """Return the resident and the proportional memory of a process in MB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()[1:])
    return {name: round(int(lines[name].split()[0]) / 1024, 1) for name in ("Rss", "Pss")}


def tell(numbers: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for one in numbers:
        with suppress(ProcessLookupError):
            os.kill(one, number)
