"""A forest made ready to explain rows: laid out by the number of quadrature nodes that its trees need, and compiled."""

import numba
import numpy as np

from scoring.treeshap import forest as trees
from scoring.treeshap import kernel, quadrature

NODES = (4, 8, 16, 32)  # the kernel is compiled for these


class Explainer:
    """Explains rows. `base`: the mean margin of the training rows; `forest`: what was read."""

    def __init__(self, forest: trees.Forest) -> None:
        """Unreadable where a tree cannot be explained."""
        walks = [trees.walked(tree) for tree in forest.trees]
        self.base, self.forest = trees.expected(walks, forest.offset), forest
        needed: dict[int, list[trees.Walked]] = {}
        for walk in walks:
            if walk.order:
                needed.setdefault(_nodes(walk.longest), []).append(walk)
        self._layouts = [(*_rule(count), trees.flat(needed[count])) for count in sorted(needed)]

    def warm(self) -> None:
        """Compile what these trees need, or load it from the files of an earlier process."""
        for tau, weights, layout in self._layouts:
            _compile(tau, weights, layout)

    def attributions(self, rows: np.ndarray) -> np.ndarray:
        """Return attributions of rows (n, features), float64, in the margin's space: base + their sum is the margin."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.forest.features:
            raise ValueError(f"Rows of shape {rows.shape} do not have {self.forest.features} features.")
        found = np.zeros(rows.shape)
        for tau, weights, layout in self._layouts:
            kernel.add(tau, weights, layout, rows, found)
        return found


def _nodes(longest: int) -> int:
    for count in NODES:
        if longest <= 2 * count:
            return count
    raise trees.Unreadable(f"A path splits on {longest} features; {2 * NODES[-1]} are the most.")


def _rule(count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return τ = t/(1 − t) and the weight of each quadrature node."""
    nodes, weights = quadrature.rule(count)
    return tuple(t / (1 - t) for t in nodes), weights


def compile_all() -> None:
    """Compile all that any trees may need, or load it: for a process whose children cannot write, or an image."""
    none, two = np.zeros(1), np.ones(2)
    stump = trees.Tree(np.array([[~0, ~1]]), none, none, none, none, two[:1], two, two, {})
    for count in NODES:
        _compile(*_rule(count), trees.flat([trees.walked(stump)]))


def _compile(tau: tuple[float, ...], weights: tuple[float, ...], layout: trees.Flat) -> None:
    matrix = numba.float64[:, ::1]
    kernel.add.compile((numba.typeof(tau), numba.typeof(weights), numba.typeof(layout), matrix, matrix))
