"""The slowest of a hundred at half of the peak rate: requests leave on time, whether or not others were answered."""

import statistics
from pathlib import Path

from tests.benchmarks.scoring import comparing
from tests.benchmarks.scoring.forest import Forest
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Plan


def measure(ours: Ours, forest: Forest, folder: Path, plan: Plan) -> dict:
    """Return the peak of 32 clients, then rounds at half of it, for each number of processes."""
    ours.quiet()
    found = {f"{count} processes": _at_half(ours, forest, count, plan) for count in plan.counts}
    ours.resume()
    return found


def _at_half(ours: Ours, forest: Forest, count: int, plan: Plan) -> dict:
    ours.scale(count)
    target = ours.target()
    target.wait(forest.rows[0])
    requests = [data.decode() for data in target.requests(forest.rows, 1)]
    job = {"connections": 32, "seconds": plan.steady, "warm": 1, "requests": requests}
    peak = comparing.send(target, job)["per_second"]
    open_ = job | {"rate": peak / 2, "connections": 128}
    rounds = [comparing.send(target, open_) for _ in range(plan.rounds)]
    ratio = statistics.median(run["ms"]["99"] / run["ms"]["50"] for run in rounds)
    shown = [{name: run["ms"][name] for name in ("50", "99", "100")} for run in rounds]
    print(f"\n{count} processes, peak {peak}/s, at half of it (ms): {shown}", flush=True)
    return {"peak": peak, "p99_of_p50": round(ratio, 2), "rounds": rounds}


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return what is to be reached."""
    return [
        (f"p99 at half of the peak rate, of its p50, {name}", "≤ 4", run["p99_of_p50"], run["p99_of_p50"] <= 4)
        for name, run in found.items()
    ]
