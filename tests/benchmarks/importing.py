"""What `import_dataset` takes for 10,000,000 rows of 21 columns: `make bench-datasets` measures and writes the results.

ROWS says how many instead. The exit code is 1 when an import took more memory than the goal allows.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from tests.benchmarks.ledger import machine
from tests.installations import ROOT, Installation, installation

RESULTS = Path(__file__).parent / "results" / "datasets.json"
ROWS = int(os.environ.get("ROWS", "10000000"))
MOST = 1024  # MB
_PART = 500_000
_SAID = ["--label", "label", "--time", "at", "--id", "id", "--protected", "age", "--role", "customer=entity"]


def parts() -> Iterator[pa.Table]:
    """Yield the rows: numbers, whole numbers, words, identifiers, a moment, ages, and a label in words."""
    chance = np.random.default_rng(1)
    for start in range(0, ROWS, _PART):
        rows = min(_PART, ROWS - start)
        made = {"id": np.arange(start, start + rows).astype(str)}
        made |= {f"amount_{place}": chance.lognormal(3, 1, rows).round(3) for place in range(10)}
        made |= {f"count_{place}": chance.integers(0, 100 * 10**place, rows) for place in range(4)}
        made["country"] = np.array(["DE", "FR", "IT", "ES", "PL", "NL"])[chance.integers(0, 6, rows)]
        made["channel"] = np.array(["web", "app", "branch"])[chance.integers(0, 3, rows)]
        made["at"] = np.datetime64("2024-01-01T00:00:00") + np.arange(start, start + rows).astype("timedelta64[s]")
        made["age"] = chance.integers(18, 90, rows)
        made["customer"] = np.char.add("c", chance.integers(0, 10**6, rows).astype(str))
        made["label"] = np.where(chance.random(rows) < 0.02, "fraud", "legitimate")
        yield pa.table(made)


def write(folder: Path) -> dict[str, Path]:
    """Write the rows as CSV, and as Parquet with all of them in few row groups, as pandas would."""
    paths = {"CSV": folder / "rows.csv", "Parquet": folder / "rows.parquet"}
    first = next(parts())
    with csv.CSVWriter(paths["CSV"], first.schema) as lines:
        for table in parts():
            lines.write_table(table)
    with pq.ParquetWriter(paths["Parquet"], first.schema) as groups:
        waiting: list[pa.Table] = []
        for table in parts():
            waiting.append(table)
            if len(waiting) == 2:
                groups.write_table(pa.concat_tables(waiting), row_group_size=2 * _PART)
                waiting.clear()
        if waiting:
            groups.write_table(pa.concat_tables(waiting), row_group_size=2 * _PART)
    return paths


def measure(at: Installation, path: Path) -> dict:
    """Import a file in a process of its own; return its most memory, its time, and what it said last."""
    command = [sys.executable, "manage.py", "import_dataset", str(path), *_SAID]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=at.environment(), stdout=subprocess.PIPE, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, said
    return {
        "rows": ROWS,
        "file_mb": path.stat().st_size >> 20,
        "most_memory_mb": used.ru_maxrss // 1024,
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "registered": next(line for line in said.splitlines() if line.startswith("registered as")),
    }


def main() -> int:
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, installation(Path(folder) / "home") as at:
        facts = machine(at)
        at.manage("setup_platform", "--people")
        found = {form: measure(at, path) for form, path in write(Path(folder)).items()}
    facts["load_before_and_after"] = [round(load[0], 2) for load in (before, os.getloadavg())]
    rows = [
        (f"most memory of importing {ROWS:,} rows of {form} (MB)", f["most_memory_mb"]) for form, f in found.items()
    ]
    verdicts = [{"goal": f"{name} ≤ {MOST}", "measured": value, "held": value <= MOST} for name, value in rows]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": facts, "goals": verdicts, "figures": found}, indent=2) + "\n")
    for name, value in rows:
        print(f"{name:<62} {'≤ ' + str(MOST):>10} {value:>12} {'held' if value <= MOST else 'MISSED'}")
    for form, figures in found.items():
        print(f"{form}: {figures['seconds']} s, {figures['cpu_seconds']} s of CPU")
    return 0 if all(value <= MOST for _, value in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
