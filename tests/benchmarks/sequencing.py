"""The sequencer as it runs in production, with a witness: how fast a backlog drains, how long an entry waits."""

import bisect
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.benchmarks import inserting
from tests.installations import ROOT, Installation, until

BACKLOG = 150_000  # entries
RATE, SECONDS, WRITERS = 2000, 30, 16
LOG = "decisions"
_PLACED = "SELECT coalesce(max(size), 0) FROM registry_tree WHERE log = 'decisions'"
_ENTERED = """
SELECT l.index, extract(epoch FROM e.inserted_at)::float8 FROM registry_leaf l JOIN registry_ledgerentry e
ON e.id = l.entry_id WHERE l.log = 'decisions' AND l.index >= %s ORDER BY l.index
"""


def drain(at: Installation) -> dict:
    """Return how fast the sequencer gives a backlog its places, publishes it and has it cosigned."""
    before = published(at)
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.backlog", str(BACKLOG)], cwd=ROOT, env=at.environment(), check=True
    )
    with at.connect() as connection:
        connection.execute("ANALYZE registry_ledgerentry")
    process = at.start_sequencer()
    until(lambda: published(at) > before, "the first of the backlog is published", pause=0.005)
    first, begun, spent = published(at), time.monotonic(), _cpu(process.pid)
    until(lambda: published(at) >= before + BACKLOG, "the backlog is published", 600, 0.01)
    seconds, spent = time.monotonic() - begun, _cpu(process.pid) - spent
    rate = (before + BACKLOG - first) / seconds
    return {"entries": BACKLOG, "per_second": round(rate), "core_share": round(spent / seconds, 2)}


def delays(at: Installation) -> dict:
    """Return how long entries wait, at a steady rate, for their place and for a published head over them (seconds)."""
    begun = published(at)
    placed, heads = _Watch(lambda: _placed(connection)), _Watch(lambda: published(at))
    with at.connect() as connection:
        reached = 0.0
        with placed, heads:
            reached = inserting.run(at, "with", WRITERS, SECONDS, rate=RATE)
            until(lambda: published(at) == _count(at), "all is published", pause=0.02)
        rows = connection.execute(_ENTERED, [begun]).fetchall()
    waits = {name: watch.waits(rows) for name, watch in (("index", placed), ("published", heads))}
    return {"per_second": round(reached), "entries": len(rows), **{name: _quantiles(w) for name, w in waits.items()}}


def verify(at: Installation) -> dict:
    """Return how fast `manage.py verify_log` checks the whole published log, on one core."""
    until(lambda: b"witness." in (folder(at) / "checkpoint").read_bytes(), "the newest head is cosigned")
    policy = str(at.home / "keys" / "log.policy")
    said = [at.manage("verify_log", str(folder(at)), "--policy", policy) for _ in range(3)]
    rates = sorted(int(re.findall(r"([\d,]+) entries/s", text)[0].replace(",", "")) for text in said)
    return {"entries": published(at), "per_second": rates[1]}


def folder(at: Installation) -> Path:
    """Return the folder of the published log."""
    return at.home / "log-public" / "countersign.example" / "log" / LOG


def published(at: Installation) -> int:
    """Return the size of the published head."""
    path = folder(at) / "checkpoint"
    return int(path.read_bytes().split(b"\n")[1]) if path.exists() else 0


class _Watch:
    """Looks at a size that grows, and remembers when it was seen to have reached what."""

    def __init__(self, size) -> None:
        self._size, self._done = size, threading.Event()
        self._sizes: list[int] = []
        self._times: list[float] = []
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.is_set():
            size = self._size()
            if not self._sizes or size > self._sizes[-1]:
                self._sizes.append(size)
                self._times.append(time.time())
            time.sleep(0.01)

    def waits(self, rows) -> list[float]:
        """Return for each entry (index, moment of its INSERT) how long the size took to cover it."""
        return sorted(self._times[bisect.bisect_right(self._sizes, index)] - moment for index, moment in rows)


def _quantiles(waits: list[float]) -> dict[str, float]:
    return {f"p{part}": round(waits[len(waits) * part // 100], 3) for part in (50, 99)} | {"max": round(waits[-1], 3)}


def _placed(connection) -> int:
    return connection.execute(_PLACED).fetchone()[0]


def _count(at: Installation) -> int:
    with at.connect() as connection:
        row = connection.execute("SELECT count(*) FROM registry_ledgerentry WHERE log = 'decisions'").fetchone()
    return row[0] if row else 0


def _cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
