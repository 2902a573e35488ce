"""Decisions recorded at once by many writers, with and without their entries: pgbench sends what scoring sends.

pgbench costs the machine next to nothing, so it is the database that is measured.
"""

import re
import shutil
import statistics
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from governance.platform import postgres_binaries
from tests.installations import Installation

SECONDS, ROUNDS = 3, 5
WRITERS = (8, 32)
PARTS = 24
FLAT = "bench_decision"
_WAITS = """
SELECT locktype FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.application_name = 'pgbench'
"""


def compare(at: Installation) -> dict:
    """Return transactions per second with and without entries by number of writers: medians, and of their ratios."""
    return {str(writers): _compared(at, writers, "with", "without") for writers in WRITERS}


def partitioned(at: Installation) -> dict:
    """Return the same of decisions with a request id, in `PARTS` monthly partitions and in one table as it once was.

    `added_us`: what partitions and the table of request ids add to one decision (µs at one writer, which waits alone).
    """
    _prepare(at)
    found = {str(writers): _compared(at, writers, "keyed", "flat") for writers in (1, *WRITERS)}
    alone = found["1"]
    return found | {"added_us": round(1e6 / alone["keyed"] - 1e6 / alone["flat"], 1)}


def _prepare(at: Installation) -> None:
    """Make the table of before, and as many partitions as two years have."""
    with at.connect() as connection:
        connection.execute(
            f"CREATE TABLE {FLAT} (LIKE scoring_decision INCLUDING ALL, UNIQUE (model_id, request_id),"
            " FOREIGN KEY (model_id) REFERENCES registry_registeredmodel DEFERRABLE INITIALLY DEFERRED,"
            " FOREIGN KEY (deployment_id) REFERENCES scoring_deployment DEFERRABLE INITIALLY DEFERRED)"
        )
        connection.execute(f"GRANT ALL ON {FLAT} TO countersign_scoring")
        connection.execute("GRANT EXECUTE ON FUNCTION countersign_first_id(timestamp) TO countersign_scoring")
        for ahead in range(5, PARTS):
            first, ending = (
                f"date_trunc('month', now()::timestamp) + interval '{n} month'" for n in (ahead, ahead + 1)
            )
            connection.execute(
                f"DO $$ BEGIN EXECUTE format('CREATE TABLE bench_%s PARTITION OF scoring_decision FOR VALUES FROM (%L)"
                f" TO (%L)', {ahead}, countersign_first_id({first}), countersign_first_id({ending})); END $$"
            )


def _compared(at: Installation, writers: int, one: str, other: str) -> dict:
    found: dict[str, list[float]] = {one: [], other: []}
    for turn in range(ROUNDS):
        for name in (one, other) if turn % 2 else (other, one):
            found[name].append(run(at, name, writers, SECONDS))
    ratio = statistics.median(a / b for a, b in zip(found[one], found[other], strict=True))
    return {name: round(statistics.median(rates)) for name, rates in found.items()} | {"ratio": round(ratio, 3)}


def waits(at: Installation, writers: int = 32) -> dict[str, int]:
    """Return which locks writers were seen to wait for while they recorded decisions with entries, and how often."""
    seen: Counter[str] = Counter()
    done = threading.Event()

    def look() -> None:
        with at.connect() as connection:
            while not done.is_set():
                seen.update(kind for (kind,) in connection.execute(_WAITS))
                seen["looks"] += 1
                time.sleep(0.01)

    looking = threading.Thread(target=look)
    looking.start()
    run(at, "with", writers, SECONDS)
    done.set()
    looking.join()
    return dict(seen)


_runs = iter(range(1_000_000))


def run(at: Installation, script: str, writers: int, seconds: float, *, rate: int | None = None) -> float:
    """Let so many writers work for so long, at so many transactions per second or as fast as they can; return tps."""
    url = urlsplit(at.url)
    words = ["-n", "-M", "prepared", "-c", str(writers), "-j", "2", "-T", str(round(seconds))]
    words += ["-D", "n=0", "-D", f"run={next(_runs)}", "-f", str(at.home / f"{script}.sql")]
    words += ["-R", str(rate)] if rate else []
    words += ["-h", parse_qs(url.query).get("host", [url.hostname or ""])[0], "-U", unquote(url.username or "")]
    words += ["-p", str(url.port)] if url.port else []
    env = {"PGPASSWORD": unquote(url.password or ""), "PGOPTIONS": "-c timezone=UTC -c role=countersign_scoring"}
    command = [_pgbench(), *words, url.path[1:]]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    assert done.returncode == 0, done.stderr[-2000:]
    assert found, done.stdout
    return float(found[1])


def _pgbench() -> str:
    """Return pgbench of the server that we start ourselves, or else the system's."""
    ours: Path = postgres_binaries.find(postgres_binaries.Runner()).folder / "pgbench"
    found = str(ours) if ours.exists() else shutil.which("pgbench")
    assert found, "no pgbench: it comes with PostgreSQL"
    return found
