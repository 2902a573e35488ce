"""Histograms whose edges are fixed before the first value is counted, so that counts add up over parts and over time.

Of k edges are made k + 1 bins: below the first edge, from each edge to the next, and from the last edge on. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 32


def edges(sample: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return at most bins - 1 increasing edges between which about equally many values of a sample lie.

    `sample`: shape (n,), float64; what is not finite is left out. Without a finite value there is no edge.
    """
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return np.empty(0)
    return np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))


@dataclass(frozen=True)
class Histogram:
    """Counts of values between edges: `edges` of shape (k,), increasing; `counts` of shape (k + 1,)."""

    edges: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, edges: np.ndarray | Sequence[float]) -> "Histogram":
        """Return a histogram over these edges that has counted nothing yet."""
        fixed = np.asarray(edges, np.float64)
        return cls(fixed, np.zeros(len(fixed) + 1, np.int64))

    def of(self, values: np.ndarray) -> "Histogram":
        """Return the counts of values (shape (n,), no NaN) over the same edges."""
        places = np.searchsorted(self.edges, values, side="right")
        return Histogram(self.edges, np.bincount(places, minlength=len(self.edges) + 1))

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return the counts of both; ValueError over other edges, since such counts say nothing about each other."""
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("Histograms over different edges cannot be added.")
        return Histogram(self.edges, self.counts + other.counts)

    def dump(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"edges": self.edges.tolist(), "counts": self.counts.tolist()}

    @classmethod
    def load(cls, value: dict[str, Any]) -> "Histogram":
        """Read the JSON form."""
        return cls(np.asarray(value["edges"], np.float64), np.asarray(value["counts"], np.int64))
