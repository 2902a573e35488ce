"""A forest made ready to explain rows: laid out by the number of quadrature nodes that its trees need, and compiled."""

import numba
import numpy as np

from scoring.treeshap import forest, kernel, quadrature

NODES = (4, 8, 16, 32)  # the kernel is compiled for these


class Explainer:
    """Explains rows. `base`: the mean margin of the training rows; `features`: how many a row has."""

    def __init__(self, trees: forest.Forest) -> None:
        """Unreadable where a tree cannot be explained."""
        walks = [forest.walked(tree) for tree in trees.trees]
        self.base, self.features = forest.expected(walks, trees.offset), trees.features
        needed: dict[int, list[forest.Walked]] = {}
        for walk in walks:
            if walk.order:
                needed.setdefault(_nodes(walk.longest), []).append(walk)
        self._layouts = [(*_rule(count), forest.flat(needed[count])) for count in sorted(needed)]

    def warm(self) -> None:
        """Compile what these trees need, or load it from the cache of an earlier process."""
        matrix = numba.float64[:, ::1]
        for tau, weights, layout in self._layouts:
            kernel.add.compile((numba.typeof(tau), numba.typeof(weights), numba.typeof(layout), matrix, matrix))

    def attributions(self, rows: np.ndarray) -> np.ndarray:
        """Return attributions of rows (n, features), float64, in the margin's space: base + their sum is the margin."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(f"Rows of shape {rows.shape} do not have {self.features} features.")
        found = np.zeros(rows.shape)
        for tau, weights, layout in self._layouts:
            kernel.add(tau, weights, layout, rows, found)
        return found


def _nodes(longest: int) -> int:
    for count in NODES:
        if longest <= 2 * count:
            return count
    raise forest.Unreadable(f"A path splits on {longest} features; {2 * NODES[-1]} are the most.")


def _rule(count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return τ = t/(1 − t) and the weight of each quadrature node."""
    nodes, weights = quadrature.rule(count)
    return tuple(t / (1 - t) for t in nodes), weights
