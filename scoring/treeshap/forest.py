"""One flat form for the trees of every library, and what is known of them before any row comes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# What a library makes of a value before it compares it; the bits of a column's rule.
ROUND = 1  # to float32
TINY_IS_ZERO = 2  # |x| ≤ float32(1e-35), LightGBM's kZeroThreshold
NAN_IS_ZERO = 4
ZERO_IS_NAN = 8  # and so is what is as tiny
CATEGORY = 16  # cut to a whole number; what is no category becomes −1
POSITIVE = 32  # a category below zero is none, also one that would be cut to zero
_SMALLEST = 2.0**-64  # stands for a share of no rows at all: the rest is then right to the last bit


class Unreadable(Exception):
    """These trees are not of a kind that can be explained here; the text says why."""


@dataclass(frozen=True)
class Categories:
    """A split by category: which go right. A code that is none of them goes where `others` says (1: right)."""

    right: np.ndarray  # of bool, by code
    others: int


@dataclass(frozen=True)
class Tree:
    """One binary tree. Splits are numbered from 0, the root; a child c ≥ 0 is a split, any other is leaf ~c.

    A value goes right if it is above the threshold (float64) or, missing, where `missing_right` says.
    """

    children: np.ndarray  # int, (splits, 2): left, right
    feature: np.ndarray  # int, (splits,)
    threshold: np.ndarray  # float64, (splits,)
    missing_right: np.ndarray  # bool, (splits,)
    rule: np.ndarray  # int, (splits,): what is done to the value first
    cover: np.ndarray  # float64, (splits,): training rows, or their weight
    leaf_cover: np.ndarray  # float64, (leaves,)
    leaf_value: np.ndarray  # float64, (leaves,)
    categories: dict[int, Categories]  # by split


class Flat(NamedTuple):
    """Trees with up to so many distinct features on a path, one after the other, as the kernel takes them.

    Splits of a tree in the order in which a walk from the root meets them, then its leaves.
    """

    columns: np.ndarray  # uint32, (columns, 2): feature, rule
    starts: np.ndarray  # uint64, (trees + 1,): first split of each tree
    column: np.ndarray  # uint32, (splits,)
    threshold: np.ndarray  # float64, (splits,)
    missing_right: np.ndarray  # uint8, (splits,)
    links: (
        np.ndarray
    )  # uint32, (splits, 5): left and right child; the former split on the feature, its side; the feature
    q: np.ndarray  # float64, (splits, 2): 1/z of left and right
    leaf: np.ndarray  # float64, (splits + trees,): value times the share of the training rows
    category_starts: np.ndarray  # uint64, (trees + 1,): first categorical split of each tree
    categories: np.ndarray  # uint64, (categorical splits, 4): its place in the tree, first code, codes, where others go
    category_right: np.ndarray  # uint8, (codes,)


@dataclass(frozen=True)
class Forest:
    """Trees whose leaves add up to the margin, with what is added to every row."""

    trees: list[Tree]
    offset: float
    features: int


@dataclass
class Walked:
    """A tree walked from its root: its splits in that order, what the kernel must know of each, the leaves' shares."""

    tree: Tree
    order: list[int]
    links: list[tuple[int, int, int, int, int]]
    q: list[tuple[float, float]]
    leaf: np.ndarray  # value times the share of the training rows
    longest: int  # distinct features on a path


def walked(tree: Tree) -> Walked:
    """Walk a tree; Unreadable where a split saw no training row, since what its sides weigh is not defined then."""
    splits = len(tree.feature)
    order: list[int] = []
    links, q, share, longest = [], [], np.ones(len(tree.leaf_value)), 0
    waiting: list[tuple[int, float, dict[int, tuple[int, int, float]]]] = [(0 if splits else ~0, 1.0, {})]
    while waiting:
        node, reached, path = waiting.pop()  # path: feature → its last split in the new order, the side taken, z
        if node < 0:
            share[~node], longest = reached, max(longest, len(path))
            continue
        feature, here = int(tree.feature[node]), len(order)
        former, side, former_z = path.get(feature, (splits, 0, 1.0))
        order.append(node)
        links.append((*(int(child) for child in tree.children[node]), former, side, feature))
        ratios = _ratios(tree, node)
        z = [former_z * ratio for ratio in ratios]
        q.append((1 / z[0], 1 / z[1]))
        for way in (1, 0):
            onward = {**path, feature: (here, way, z[way])}
            waiting.append((int(tree.children[node][way]), reached * ratios[way], onward))
    return Walked(tree, order, _renumbered(order, links), q, tree.leaf_value * share, longest)


def _ratios(tree: Tree, node: int) -> list[float]:
    """Return which shares of a split's training rows go left and right."""
    if not tree.cover[node] > 0:
        raise Unreadable("A split of a tree saw no training row.")
    covers = [tree.cover[child] if child >= 0 else tree.leaf_cover[~child] for child in tree.children[node]]
    return [float(cover / tree.cover[node]) if cover > 0 else _SMALLEST for cover in covers]


def _renumbered(order: list[int], links: list[tuple[int, ...]]) -> list[tuple[int, int, int, int, int]]:
    """Name children by their new places: splits first, then leaves."""
    place = {node: number for number, node in enumerate(order)}
    new = [[place[child] if child >= 0 else len(order) + ~child for child in link[:2]] for link in links]
    return [(left, right, *link[2:]) for (left, right), link in zip(new, links, strict=True)]  # type: ignore[misc]


def expected(walks: Iterable[Walked], offset: float) -> float:
    """Return the mean margin of the training rows, which the attributions are measured from."""
    return math.fsum([offset, *(math.fsum(walk.leaf) for walk in walks)])


def flat(walks: Sequence[Walked]) -> Flat:
    """Lay trees that split out one after the other."""
    columns = sorted({pair for walk in walks for pair in zip(walk.tree.feature, walk.tree.rule, strict=True)})
    place = {pair: number for number, pair in enumerate(columns)}
    sizes = [len(walk.order) for walk in walks]
    column = [place[walk.tree.feature[n], walk.tree.rule[n]] for walk in walks for n in walk.order]
    sets = [[(walk.order.index(n), found) for n, found in sorted(walk.tree.categories.items())] for walk in walks]
    return Flat(
        columns=np.array(columns, np.uint32),
        starts=np.cumsum([0, *sizes], dtype=np.uint64),
        column=np.array(column, np.uint32),
        threshold=np.concatenate([walk.tree.threshold[walk.order] for walk in walks]),
        missing_right=np.concatenate([walk.tree.missing_right[walk.order] for walk in walks]).astype(np.uint8),
        links=np.array([link for walk in walks for link in walk.links], np.uint32),
        q=np.array([pair for walk in walks for pair in walk.q]),
        leaf=np.concatenate([walk.leaf for walk in walks]),
        category_starts=np.cumsum([0, *map(len, sets)], dtype=np.uint64),
        **_sets([item for of_tree in sets for item in of_tree]),
    )


def _sets(found: list[tuple[int, Categories]]) -> dict[str, np.ndarray]:
    codes = np.concatenate([np.zeros(0, np.uint8), *(one.right.astype(np.uint8) for _, one in found)])
    ends = np.cumsum([len(one.right) for _, one in found], dtype=np.int64)
    rows = [(n, end - len(one.right), len(one.right), one.others) for (n, one), end in zip(found, ends, strict=True)]
    return {"categories": np.array(rows, np.uint64).reshape(len(rows), 4), "category_right": codes}
