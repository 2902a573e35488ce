"""`make bench` (PART=peers for one part, QUICK=1 for little): measure, print the goals, write results and curves.

The exit code is 1 when a goal is missed. What earlier runs measured of parts left out now stays in the results.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.ledger import machine
from tests.benchmarks.scoring import (
    comparing,
    curves,
    deploying,
    environments,
    explaining,
    faults,
    footprint,
    forest,
    ours,
    profiling,
    tail,
)
from tests.benchmarks.scoring.plans import FULL, QUICK

RESULTS = Path(__file__).parent.parent / "results" / "scoring.json"
PARTS = {
    "memory": footprint,  # first: nothing has been loaded, killed or replaced yet
    "explain": explaining,
    "peers": comparing,
    "p99": tail,
    "profile": profiling,
    "deploy": deploying,
    "faults": faults,
}


def main(wanted: list[str]) -> int:
    """Measure the parts of these names, or all, on one platform."""
    if unknown := set(wanted) - set(PARTS):
        print(f"There is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    plan = QUICK if os.environ.get("QUICK") == "1" else FULL
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    figures, before = dict(kept.get("figures", {})), os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        folder = Path(name)
        model = forest.write(folder / "model")
        with ours.platform(folder) as made:
            facts = machine(made) | ours.facts(made) | {"model": forest.size(model.file)}
            for part in wanted or PARTS:
                figures[part] = PARTS[part].measure(made, model, folder, plan)
    facts |= {"load_before_and_after": [round(load[0], 2) for load in (before, os.getloadavg())]}
    facts |= {"peers": {name: environments.versions(name) for name in environments.WANTED}}
    rows = [row for name, found in figures.items() if name in PARTS for row in PARTS[name].goals(found)]
    verdicts = [{"goal": f"{name} {goal}", "measured": value, "held": held} for name, goal, value, held in rows]
    RESULTS.write_text(json.dumps({"machine": facts, "goals": verdicts, "figures": figures}, indent=2) + "\n")
    if "peers" in figures:
        curves.draw(figures["peers"], RESULTS.with_suffix(".png"))
    print()
    for name, goal, value, held in [("", "goal", "measured", True), *rows]:
        print(f"{name:<78} {goal:>8} {value:>10} {'' if not name else 'held' if held else 'MISSED'}")
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
