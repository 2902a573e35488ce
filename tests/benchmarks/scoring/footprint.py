"""How much memory a scoring worker takes that serves one model of 300 trees, after load."""

from pathlib import Path

from tests.benchmarks.scoring import comparing, processes
from tests.benchmarks.scoring.forest import Forest
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Plan

LIMIT = 250  # MB


def measure(ours: Ours, forest: Forest, folder: Path, plan: Plan) -> dict:
    """Return resident and proportional MB of each worker."""
    target = ours.target()
    requests = [data.decode() for data in target.requests(forest.rows, 1)]
    load = comparing.send(target, {"connections": 32, "seconds": plan.steady, "warm": 0, "requests": requests})
    workers = [processes.memory(number) for number in ours.workers()]
    print(f"\nmemory of the workers after {load['requests']} decisions: {workers}", flush=True)
    return {"workers": workers, "decisions": load["requests"]}


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return what is to be reached."""
    most = max(worker["Rss"] for worker in found["workers"])
    return [("resident memory of a scoring worker (MB)", f"≤ {LIMIT}", most, most <= LIMIT)]
