"""Rows drawn where a forest decides: at its thresholds, a hair beside and around them, and where values are missing.

Data leave most splits untouched; these rows meet them all, so they prove more about how trees were read.
"""

import numpy as np

from scoring.treeshap.forest import CATEGORY, ROUND, Forest

_SEED = 5
_MISSING = 1 / 16  # share of values


def rows(trees: Forest, count: int, *, missing: bool) -> np.ndarray:
    """Return rows, float64 of shape (count, features), always the same.

    missing: the second half has NaN and zeros among its values; the first never has any.
    """
    chance = np.random.default_rng(_SEED)
    drawn = chance.normal(size=(count, trees.features))
    for feature, (thresholds, rounded) in sorted(_thresholds(trees).items()):
        near = chance.choice(thresholds, count)
        spread = np.std(thresholds) + np.abs(near) * 0.01 + 1e-3
        beside = [near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf), near + spread * drawn[:, feature]]
        values = np.choose(chance.integers(0, len(beside), count), beside)
        drawn[:, feature] = values.astype(np.float32) if rounded else values
    for feature, codes in sorted(_codes(trees).items()):
        drawn[:, feature] = chance.integers(-1, codes + 2, count)
    if missing:
        half = drawn[count // 2 :]
        gone = chance.random(half.shape)
        half[gone < _MISSING], half[gone > 1 - _MISSING] = np.nan, 0.0
    return drawn


def _thresholds(trees: Forest) -> dict[int, tuple[np.ndarray, bool]]:
    """Return the thresholds of each feature, and whether they are compared as float32."""
    found: dict[int, list[float]] = {}
    rounded = any((tree.rule & ROUND).any() for tree in trees.trees)
    for tree in trees.trees:
        for feature, threshold, rule in zip(tree.feature, tree.threshold, tree.rule, strict=True):
            if not rule & CATEGORY and np.isfinite(threshold):
                found.setdefault(int(feature), []).append(float(threshold))
    return {feature: (np.unique(values), rounded) for feature, values in found.items()}


def _codes(trees: Forest) -> dict[int, int]:
    found: dict[int, int] = {}
    for tree in trees.trees:
        for node, categories in tree.categories.items():
            feature = int(tree.feature[node])
            found[feature] = max(found.get(feature, 0), len(categories.right))
    return found
