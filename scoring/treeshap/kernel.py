"""The compiled passes down and up the trees of one layout, for one row or many; see the package's docstring.

Places are unsigned, since numba tests signed ones for "from the end". What it keeps of a tree lies in a few kilobytes.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from scoring.treeshap.forest import CATEGORY, NAN_IS_ZERO, POSITIVE, ROUND, TINY_IS_ZERO, ZERO_IS_NAN, Flat
from scoring.treeshap.machine_code import Kept
from scoring.treeshap.vectors import ascend, descend, settle

_BLOCK = np.uint64(8)  # rows that go through a tree one after the other, while it is in the nearest cache
_TINY = float(np.float32(1e-35))
_CATEGORIES = 2.0**31
_0, _1, _2, _3, _4 = (np.uint64(number) for number in range(5))


_step = njit(error_model="numpy")


class _Scratch(NamedTuple):
    """What is kept while rows go through the trees. Places: splits in order, then leaves or two stand-ins."""

    values: Any  # (rows of a block × columns,)
    sums: Any  # (rows of a block × features × nodes,): what the splits added to their features
    products: Any  # (places × nodes,): products of the paths, on the way up sums of the leaves
    e: Any  # (places × nodes,): 1/(1 + qτ) of a split's hot side; then of no split before, then of a path that was left
    q: Any  # (places,)
    stayed: Any  # (places,): the side of a split on which the row is; 2: on neither
    former: Any  # (splits,): the split before on the same feature, or one of the two places after the splits
    right: Any  # (splits,)


@_step
def _scratch(tau: Any, trees: Any, features: Any) -> Any:
    count, most = np.uint64(len(tau)), _0
    for tree in range(np.uint64(len(trees.starts) - 1)):
        most = max(most, trees.starts[tree + _1] - trees.starts[tree])
    return _Scratch(
        np.empty(_BLOCK * np.uint64(len(trees.columns))),
        np.empty(_BLOCK * features * count),
        np.empty((_2 * most + _1) * count),
        np.empty((most + _2) * count),
        np.empty(most + _2),
        np.empty(most + _2, np.uint64),
        np.empty(most, np.uint64),
        np.empty(most, np.uint64),
    )


@_step
def _rounded(value: Any, rule: Any) -> Any:
    """Return what the library makes of a number before it compares it."""
    if rule & ROUND:
        value = np.float64(np.float32(value))
    tiny = abs(value) <= _TINY
    if rule & ZERO_IS_NAN and tiny:
        return math.nan
    if (rule & TINY_IS_ZERO and tiny) or (rule & NAN_IS_ZERO and value != value):
        return 0.0
    return value


@_step
def _code(value: Any, rule: Any) -> Any:
    """Return the category that the library takes a number for; −1: none, NaN: missing."""
    if value != value:
        return value
    if value <= -1.0 or value >= _CATEGORIES or (rule & POSITIVE and value < 0.0):
        return -1.0
    return math.floor(abs(value))


@_step
def _read(trees: Any, row: Any, place: Any, values: Any) -> Any:
    for column in range(np.uint64(len(trees.columns))):
        rule = trees.columns[column, _1]
        value = _rounded(row[trees.columns[column, _0]], rule)
        values[place + column] = _code(value, rule) if rule & CATEGORY else value


@_step
def _decide(trees: Any, tree: Any, values: Any, place: Any, right: Any) -> Any:
    """Find for each split of a tree whether a row goes right."""
    first = trees.starts[tree]
    for node in range(trees.starts[tree + _1] - first):
        value = values[place + np.uint64(trees.column[first + node])]
        missing = (value != value) & (trees.missing_right[first + node] != 0)
        right[node] = np.uint64((value > trees.threshold[first + node]) | missing)
    for number in range(trees.category_starts[tree], trees.category_starts[tree + _1]):
        node, begin = trees.categories[number, _0], trees.categories[number, _1]
        value = values[place + np.uint64(trees.column[first + node])]
        if 0.0 <= value < trees.categories[number, _2]:
            right[node] = np.uint64(trees.category_right[begin + np.uint64(value)])
        elif value == value:
            right[node] = trees.categories[number, _3]


@_step
def _stand_in(tau: Any, none: Any, left: Any, kept: Any) -> Any:
    """Fill the places that stand for no split on the feature before, and for one where the path was left."""
    kept.stayed[none], kept.q[none] = _0, 1.0
    kept.stayed[left], kept.q[left] = _2, 0.0
    count = np.uint64(len(tau))
    for k in range(count):
        kept.e[none * count + k] = 1.0 / (1.0 + tau[k])
        kept.e[left * count + k] = 1.0


@_step
def _down(tau: Any, weights: Any, trees: Any, tree: Any, kept: Any) -> Any:
    first = trees.starts[tree]
    splits = trees.starts[tree + _1] - first
    for k in range(np.uint64(len(tau))):
        kept.products[k] = weights[k]
    for node in range(splits):
        at, side = first + node, kept.right[node]
        before = np.uint64(trees.links[at, _2])
        alive = kept.stayed[before] == trees.links[at, _3]
        former = before if alive else splits + _1
        q = trees.q[at, side] if alive else 0.0
        kept.stayed[node] = side if alive else _2
        kept.former[node], kept.q[node] = former, q
        hot, cold = np.uint64(trees.links[at, side]), np.uint64(trees.links[at, _1 - side])
        descend(tau, kept.products, node, hot, cold, kept.e, former, q)
    for leaf in range(splits + _1):
        settle(tau, kept.products, splits + leaf, trees.leaf[first + tree + leaf])


@_step
def _up(tau: Any, trees: Any, tree: Any, kept: Any, place: Any) -> Any:
    first = trees.starts[tree]
    splits = trees.starts[tree + _1] - first
    for back in range(splits):
        node = splits - _1 - back
        at, side, former = first + node, kept.right[node], kept.former[node]
        hot, cold = np.uint64(trees.links[at, side]), np.uint64(trees.links[at, _1 - side])
        gain, loss, feature = kept.q[node] - 1.0, kept.q[former] - 1.0, place + np.uint64(trees.links[at, _4])
        ascend(tau, kept.products, node, hot, cold, kept.e, former, gain, loss, kept.sums, feature)


@_step
def _total(tau: Any, sums: Any, place: Any, found: Any) -> Any:
    count = np.uint64(len(tau))
    for feature in range(np.uint64(len(found))):
        value = 0.0
        for k in range(count):
            value += sums[(place + feature) * count + k] * (1.0 + tau[k])
        found[feature] += value


@njit(nogil=True, error_model="numpy")
def add(tau: Any, weights: Any, trees: Flat, rows: Any, found: Any) -> None:
    """Add the attributions of rows, float64 of shape (n, features), by these trees to `found`, of the same shape.

    tau, weights: τ and the weight of each quadrature node, as many as half the longest path of these trees at least.
    """
    features, columns = np.uint64(rows.shape[1]), np.uint64(len(trees.columns))
    kept = _scratch(tau, trees, features)
    for start in range(_0, np.uint64(rows.shape[0]), _BLOCK):
        height = min(np.uint64(rows.shape[0]) - start, _BLOCK)
        kept.sums[:] = 0.0
        for row in range(height):
            _read(trees, rows[start + row], row * columns, kept.values)
        for tree in range(np.uint64(len(trees.starts) - 1)):
            none = trees.starts[tree + _1] - trees.starts[tree]
            _stand_in(tau, none, none + _1, kept)
            for row in range(height):
                _decide(trees, tree, kept.values, row * columns, kept.right)
                _down(tau, weights, trees, tree, kept)
                _up(tau, trees, tree, kept, row * features)
        for row in range(height):
            _total(tau, kept.sums, row * features, found[start + row])


add._cache = Kept(add.py_func)
