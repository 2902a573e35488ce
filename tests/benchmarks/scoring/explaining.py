"""What an explanation costs: our runtime (score, margin and attributions) beside the booster's own `pred_contrib`."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np

from scoring import runtimes
from tests.benchmarks.scoring.forest import FEATURES, NAMES, Forest
from tests.benchmarks.scoring.ours import Ours
from tests.benchmarks.scoring.plans import Plan

REPEATS = {1: 200, 1000: 2}  # calls of a round, by rows


def measure(ours: Ours, forest: Forest, folder: Path, plan: Plan) -> dict:
    """Return µs a row of both in interleaved rounds, in this process, on one thread; the platform is held still."""
    ours.quiet()
    ours.target().pause()
    try:
        return _compare(forest, plan)
    finally:
        ours.resume()


def _compare(forest: Forest, plan: Plan) -> dict:
    booster = lightgbm.Booster(model_file=str(forest.file))
    runtime = runtimes.load("lightgbm", {"model": forest.file.read_bytes()}, "model", FEATURES)
    asked = np.array([[row[name] for name in NAMES] for row in forest.rows])
    both = {"ours": runtime.explain, "pred_contrib": _contributions(booster)}
    _demand_equal(runtime, booster, asked)
    found: dict = {"vectors": _vectors()}
    for count, repeats in REPEATS.items():
        rows = np.resize(asked, (count, FEATURES))
        rounds: dict[str, list[float]] = {name: [] for name in both}
        for number in range(plan.rounds * 2):
            for name in list(both) if number % 2 else reversed(both):
                rounds[name].append(_microseconds(both[name], rows, repeats))
        medians = {name: round(statistics.median(times), 1) for name, times in rounds.items()}
        ratio = round(medians["pred_contrib"] / medians["ours"], 2)
        found[f"{count} rows"] = {"us_a_row": medians, "ratio": ratio, "rounds": rounds}
        print(f"\nexplaining {count} rows, µs a row: {medians}, {ratio} times as fast", flush=True)
    return found


def _contributions(booster: lightgbm.Booster) -> Callable[[np.ndarray], object]:
    return lambda rows: booster.predict(rows, pred_contrib=True, num_threads=1)


def _demand_equal(runtime: runtimes.Runtime, booster: lightgbm.Booster, rows: np.ndarray) -> None:
    """Raise unless both explain alike: nothing is measured wrong. What is compiled at the first call, is afterwards."""
    wanted = np.asarray(booster.predict(rows, pred_contrib=True, num_threads=1))
    off = np.abs(runtime.explain(rows).attributions - wanted[:, :-1]).max()
    runtime.explain(rows[:1])
    if off > 1e-9:
        raise ValueError(f"our attributions differ from the booster's by {off}")


def _microseconds(explain: Callable[[np.ndarray], object], rows: np.ndarray, repeats: int) -> float:
    begun = time.perf_counter()
    for _ in range(repeats):
        explain(rows)
    return (time.perf_counter() - begun) / repeats / len(rows) * 1e6


def _vectors() -> str:
    flags = Path("/proc/cpuinfo").read_text().split()
    return next((name for name in ("avx512f", "avx2", "sse2") if name in flags), "")


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return what is to be reached with these vectors."""
    goal = {"avx512f": 12, "avx2": 7}.get(found["vectors"], 7)
    rows = [(name, run["ratio"]) for name, run in found.items() if name != "vectors"]
    what = "explanations, times as fast as pred_contrib"
    return [(f"{what}, {name}, {found['vectors']}", f"≥ {goal}", ratio, ratio >= goal) for name, ratio in rows]
