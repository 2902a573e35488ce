"""What the registry does beside a stock `mlflow server`: `make bench-registry` measures, prints, writes the results.

Both sides are asked in turns, in one run; figures are medians. The exit code is 1 when a goal is missed. A part has
`measure` (of an installation of its own: figures) and `goals` (of those).
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import registering, searching
from tests.benchmarks.ledger import machine
from tests.installations import installation

RESULTS = Path(__file__).parent / "results" / "registry.json"
PARTS = {"registration": registering, "search": searching}


def main(wanted: list[str]) -> int:
    """Measure the parts of these names, or all; what was measured of the others before stays beside them."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"machine": {}, "goals": [], "figures": {}}
    facts, figures, before, rows = kept["machine"], dict(kept["figures"]), os.getloadavg(), []
    for name, part in PARTS.items():
        if not wanted or name in wanted:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder, installation(Path(folder) / "home") as at:
                facts, figures[name] = machine(at), part.measure(at)
        rows += part.goals(figures[name]) if name in figures else []
    facts["load_before_and_after"] = [round(load[0], 2) for load in (before, os.getloadavg())]
    verdicts = [{"goal": f"{name} {goal}", "measured": value, "held": held} for name, goal, value, held in rows]
    RESULTS.write_text(json.dumps({"machine": facts, "goals": verdicts, "figures": figures}, indent=2) + "\n")
    for name, goal, value, held in [("", "goal", "measured", True), *rows]:
        print(f"{name:<62} {goal:>10} {value:>12} {'' if not name else 'held' if held else 'MISSED'}")
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
