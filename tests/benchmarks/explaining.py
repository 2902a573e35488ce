"""What an explanation costs: ours beside LightGBM's pred_contrib and shap, one row and 1,000, by the CPU's vectors.

    python -m tests.benchmarks.explaining

Each set of vectors is measured in a process of its own, whose compiler knows no others; the libraries are as they are.
Rounds are interleaved and medians printed, so that a busy machine slows all alike. The attributions must be equal.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import lightgbm
import numpy as np
import shap

from scoring import runtimes

FEATURES, TREES, LEAVES, ROUNDS = 30, 300, 31, 5
CALLS = {1: 50, 1000: 1}  # of a round, by rows
AVX2 = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+popcnt,+f16c,+cx16,+64bit"
VECTORS = {
    "all of this CPU": {},
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2},
}


def measure() -> dict:
    """Return µs a row of each, by rows at once, and how many times as fast ours is."""
    booster, rows = _trained()
    runtime = runtimes.load("lightgbm", {"model": booster.model_to_string().encode()}, "model", FEATURES)
    explainer = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    compared = {
        "ours": runtime.explain,
        "pred_contrib": lambda given: booster.predict(given, pred_contrib=True, num_threads=1),
        "shap": lambda given: explainer.shap_values(given, check_additivity=False),
    }
    off = float(np.abs(compared["ours"](rows).attributions - compared["pred_contrib"](rows)[:, :-1]).max())
    found: dict = {"largest difference": off}
    for count, calls in CALLS.items():
        rounds: dict[str, list[float]] = {name: [] for name in compared}
        for number in range(ROUNDS):
            for name in list(compared) if number % 2 else reversed(compared):
                begun = time.perf_counter()
                for _ in range(calls):
                    compared[name](rows[:count])
                rounds[name].append((time.perf_counter() - begun) / calls / count * 1e6)
        medians = {name: statistics.median(times) for name, times in rounds.items()}
        ratios = {name: round(value / medians["ours"], 1) for name, value in medians.items() if name != "ours"}
        found[f"{count} rows"] = {"us_a_row": {k: round(v, 1) for k, v in medians.items()}, "times_as_fast": ratios}
    return found


def _trained() -> tuple[lightgbm.Booster, np.ndarray]:
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(20_000, FEATURES))
    labels = rows[:, 0] + rows[:, 1] * rows[:, 2] + np.sin(rows[:, 3]) + chance.normal(size=len(rows)) > 0
    told = {"objective": "binary", "num_leaves": LEAVES, "learning_rate": 0.05, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(told, lightgbm.Dataset(rows, labels), TREES), rows[:1000]


def main() -> None:
    """Measure by each set of vectors, or, in a process started for one, by those that it was given."""
    if sys.argv[1:] == ["here"]:
        print(json.dumps(measure()))
        return
    for name, told in VECTORS.items():
        env = {**os.environ, **told, "OMP_NUM_THREADS": "1"}
        argv = [sys.executable, "-m", "tests.benchmarks.explaining", "here"]
        print(name, subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout, flush=True)


if __name__ == "__main__":
    main()
