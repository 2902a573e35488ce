"""What the ledger costs, and how fast its log is: `make bench-ledger` measures, prints a table, writes the results.

Both sides of a comparison are measured in turns, in one run; figures are medians. The exit code is 1 when a goal is
missed. Other work on the machine shows: its load stands beside the figures.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import inserting, sequencing
from tests.installations import ROOT, Installation, installation

RESULTS = Path(__file__).parent / "results" / "ledger.json"
STANDING_STILL, AT_WORK = "sequencer stopped", "sequencer at work"


def measure(at: Installation) -> dict:
    """Measure everything on one installation, from an empty log on."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.recording", str(at.home)],
        cwd=ROOT,
        env=at.environment("scoring"),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = {"cpu_of_one_decision": json.loads(said.stdout)}
    at.start_witness()
    found["waits_for_locks"] = inserting.waits(at)
    found["inserts"] = {STANDING_STILL: inserting.compare(at)}
    at.start_sequencer("catches-up")
    sequencing.until(lambda: sequencing.published(at) == sequencing._count(at), "all is published", 600)
    at.kill("catches-up")
    found["drain"] = sequencing.drain(at)
    found["merge_delay"] = sequencing.delays(at)
    found["inserts"][AT_WORK] = inserting.compare(at)
    sequencing.until(lambda: sequencing.published(at) == sequencing._count(at), "all is published", 600)
    found["verify_log"] = sequencing.verify(at)
    found["inserts_in_24_partitions_with_request_ids"] = inserting.partitioned(at)
    return found


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return for each goal what it is called, what it asks, what was measured, and whether that is enough."""
    cost = found["cpu_of_one_decision"]["added_us"]
    shared = sum(found["waits_for_locks"].get(kind, 0) for kind in ("advisory", "tuple", "transactionid"))
    rows = [
        ("ledger CPU added to one decision (µs)", "≤ 60", cost, cost <= 60),
        ("waits for a lock shared between writers", "0", shared, shared == 0),
    ]
    for state, by_writers in found["inserts"].items():
        for writers, rates in by_writers.items():
            name = f"inserts with / without the ledger, {writers} writers, {state}"
            rows.append((name, "≥ 0.95", rates["ratio"], rates["ratio"] >= 0.95))
    drained, verified = found["drain"]["per_second"], found["verify_log"]["per_second"]
    rows.append(("entries drained per second, published and cosigned", "≥ 10,000", drained, drained >= 10_000))
    for name, waits in (("a place", "index"), ("a published head", "published")):
        waited = found["merge_delay"][waits]["p99"]
        rows.append((f"p99 of the wait for {name} at 2,000/s (s)", "≤ 1", waited, waited <= 1))
    rows.append(("entries verified per second on one core", "≥ 100,000", verified, verified >= 100_000))
    return rows


def machine(at: Installation) -> dict:
    """Return what the figures were measured on."""
    with at.connect() as connection:
        version = connection.execute("SHOW server_version").fetchone()
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model[1] if model else platform.machine(),
        "postgresql": str(version[0]).split()[0] if version else "",
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",  # noqa: TID251 - of this run
    }


def main() -> int:
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, installation(Path(folder) / "home") as at:
        facts, found = machine(at), measure(at)
    facts["load_before_and_after"] = [round(load[0], 2) for load in (before, os.getloadavg())]
    rows = goals(found)
    verdicts = [{"goal": f"{name} {goal}", "measured": value, "held": held} for name, goal, value, held in rows]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": facts, "goals": verdicts, "figures": found}, indent=2) + "\n")
    for name, goal, value, held in [("", "goal", "measured", True), *rows]:
        print(f"{name:<62} {goal:>10} {value:>12} {'' if not name else 'held' if held else 'MISSED'}")
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
