"""Has the population moved materially? A test of "PSI <= delta" for each column, as one Holm family.

With B reference-quantile bins, PSI / (1/n + 1/m) follows a non-central chi-square with B-1 degrees of freedom and
non-centrality delta / (1/n + 1/m) when the true PSI is delta; so a large window does not alarm over nothing, a small
one does not alarm by chance, and the level holds. Missing values are a bin of their own.
"""

from collections.abc import Mapping

import numpy as np
from scipy.stats import ncx2

from monitoring.checks.bias import holm
from monitoring.measurement import Measured, Measurement

BINS = 10
DELTA = 0.02  # a true PSI up to this counts as immaterial
ALPHA = 0.01  # family-wise


def edges_of(reference: np.ndarray) -> np.ndarray:
    """Return inner bin edges: distinct values when there are few, else the reference's deciles."""
    present = reference[~np.isnan(reference)]
    values = np.unique(present)
    if len(values) <= 2 * BINS:
        return (values[1:] + values[:-1]) / 2
    return np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1]))


def counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how many values lie in each bin; the last bin holds the missing."""
    missing = np.isnan(values)
    inside = np.searchsorted(edges, values[~missing], side="right")
    return np.append(np.bincount(inside, minlength=len(edges) + 1), missing.sum())


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the population stability index between two rows of counts; half a row stands in for an empty bin."""
    used = (reference + current) > 0
    p = np.maximum(reference[used], 0.5) / max(1, reference.sum())
    q = np.maximum(current[used], 0.5) / max(1, current.sum())
    return float(np.sum((q - p) * np.log(q / p)))


def p_value(statistic: float, bins: int, n: int, m: int) -> float:
    """Return the probability of a PSI this large when the true one is DELTA."""
    scale = 1 / n + 1 / m
    return float(ncx2.sf(statistic / scale, max(1, bins - 1), DELTA / scale))


def measure(reference: Mapping[str, np.ndarray], current: Mapping[str, np.ndarray]) -> Measured:
    """Compare columns (name → float64 of shape (n,), categories as codes) of a window with those of the reference."""
    columns, p_values = {}, {}
    for name, values in reference.items():
        edges = edges_of(values)
        before, after = counts(values, edges), counts(current[name], edges)
        statistic = psi(before, after)
        p_values[name] = p_value(statistic, int(((before + after) > 0).sum()), len(values), len(current[name]))
        columns[name] = {
            "psi": statistic,
            "edges": edges.tolist(),
            "reference": (before / before.sum()).round(5).tolist(),
            "current": (after / after.sum()).round(5).tolist(),
        }
    adjusted = holm(p_values)
    moved = [name for name, p in adjusted.items() if p < ALPHA]
    for name, p in adjusted.items():
        columns[name]["p"] = p
        columns[name]["drifted"] = name in moved
    n = min((len(values) for values in current.values()), default=0)
    largest = max((columns[name]["psi"] for name in moved), default=0.0)
    ranked = dict(sorted(columns.items(), key=lambda item: -item[1]["psi"]))
    return Measured(
        [
            Measurement("drifted_columns", float(len(moved)), n),
            Measurement("drifted_share", len(moved) / max(1, len(columns)), n),
            Measurement("largest_psi", float(largest), n),
        ],
        {"columns": ranked, "delta": DELTA, "alpha": ALPHA},
    )
