"""Has the population moved materially? A test of "PSI <= delta" for each column, as one Holm family.

With B bins, PSI / (1/n + 1/m) follows a non-central chi-square with B-1 degrees of freedom and non-centrality
delta / (1/n + 1/m) when the true PSI is delta; so a large window does not alarm over nothing, a small one does not
alarm by chance, and the level holds. What was never seen before and what is missing are bins of their own.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import ncx2

from monitoring.checks.holm import holm
from monitoring.measurement import Measured, Measurement

BINS = 10


class Bins(NamedTuple):
    """The bins of a column: one for each frequent value, spans between edges for all others, one for the missing.

    `values` and `edges` are sorted; an edge belongs to the span above it.
    """

    values: np.ndarray
    edges: np.ndarray

    def counts(self, column: np.ndarray) -> np.ndarray:
        """Return how many rows lie in each bin."""
        missing = np.isnan(column)
        present = column[~missing]
        frequent = np.isin(present, self.values)
        exact = np.searchsorted(self.values, present[frequent])
        spans = np.searchsorted(self.edges, present[~frequent], side="right")
        return np.concatenate(
            [
                np.bincount(exact, minlength=len(self.values)),
                np.bincount(spans, minlength=len(self.edges) + 1),
                [missing.sum()],
            ]
        )


def bins_of(reference: np.ndarray) -> Bins:
    """Return the bins of a column: its exact values when there are few; else its deciles, around frequent values.

    A value that holds a tenth of the rows would swallow deciles, and with them every change beside it.
    """
    present = reference[~np.isnan(reference)]
    values, counts = np.unique(present, return_counts=True)
    few = len(values) <= 2 * BINS
    frequent = values if few else values[counts * BINS >= len(present)]
    others = present[~np.isin(present, frequent)]
    if not len(others):
        return Bins(frequent, np.array([]))
    spans = max(1, round(BINS * len(others) / len(present)))
    return Bins(frequent, np.unique(np.quantile(others, np.linspace(0, 1, spans + 1)[1:-1])))


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the population stability index between two rows of counts; half a row stands in for an empty bin."""
    used = (reference + current) > 0
    p = np.maximum(reference[used], 0.5) / max(1, reference.sum())
    q = np.maximum(current[used], 0.5) / max(1, current.sum())
    return float(np.sum((q - p) * np.log(q / p)))


def p_value(statistic: float, bins: int, n: int, m: int, delta: float) -> float:
    """Return the probability of a PSI this large when the true one is delta."""
    scale = 1 / n + 1 / m
    return float(ncx2.sf(statistic / scale, max(1, bins - 1), delta / scale))


def measure(
    reference: Mapping[str, np.ndarray], current: Mapping[str, np.ndarray], *, delta: float, alpha: float
) -> Measured:
    """Compare columns (name → float64 of shape (n,), categories as codes) of a window with those of the reference.

    `delta`: a true PSI up to this counts as immaterial; `alpha`: the family-wise level.
    """
    columns, p_values = {}, {}
    for name, values in reference.items():
        bins = bins_of(values)
        before, after = bins.counts(values), bins.counts(current[name])
        statistic, used = psi(before, after), int(((before + after) > 0).sum())
        p_values[name] = p_value(statistic, used, len(values), len(current[name]), delta)
        columns[name] = {
            "psi": statistic,
            "values": bins.values.tolist(),
            "edges": bins.edges.tolist(),
            "reference": (before / before.sum()).round(5).tolist(),
            "current": (after / after.sum()).round(5).tolist(),
        }
    adjusted = holm(p_values)
    moved = [name for name, p in adjusted.items() if p < alpha]
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
        {"columns": ranked, "delta": delta, "alpha": alpha},
    )
