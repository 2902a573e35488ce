"""Trees of a LightGBM booster from its text, as its `Tree` class (include/LightGBM/tree.h) takes them.

A value of up to float32(1e-35) counts as zero, since rows are made sparse first. `decision_type`: bit 0 is a split by
category, bit 1 sends what is missing to the left, bits 2 and 3 say what is missing: nothing, zero and NaN, NaN alone.
Categories that are listed go left; a value is cut to a whole number, and NaN, negative and unknown ones go right.
"""

from collections.abc import Mapping

import numpy as np

from scoring.treeshap.forest import (
    CATEGORY,
    NAN_IS_ZERO,
    TINY_IS_ZERO,
    ZERO_IS_NAN,
    Categories,
    Forest,
    Tree,
    Unreadable,
)

_BY_CATEGORY, _DEFAULT_LEFT = 1, 2
_MISSING = {0: TINY_IS_ZERO | NAN_IS_ZERO, 1: TINY_IS_ZERO | ZERO_IS_NAN, 2: TINY_IS_ZERO}


def read(text: str) -> Forest:
    """Read the trees of a model text; Unreadable where they are of a kind that is not explained here."""
    head, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    lines = head.splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    found = [_tree(dict(line.split("=", 1) for line in tree.splitlines() if "=" in line)) for tree in trees]
    if int(told.get("num_tree_per_iteration", 1)) != 1:
        raise Unreadable("The booster has more than one class.")
    share = 1 / len(found) if "average_output" in lines and found else 1.0
    for tree in found:
        tree.leaf_value[:] *= share
    return Forest(found, 0.0, int(told["max_feature_idx"]) + 1)


def _tree(told: Mapping[str, str]) -> Tree:
    if told.get("is_linear", "0") != "0":
        raise Unreadable("Its leaves hold linear models.")
    values = _numbers(told, "leaf_value", float)
    if int(told["num_leaves"]) == 1:
        none = np.zeros(0)
        return Tree(none.reshape(0, 2), none, none, none, none, none, np.ones(1), values[:1], {})
    if "leaf_count" not in told or "internal_count" not in told:
        raise Unreadable("The booster does not say how many training rows its trees saw.")
    kinds = _numbers(told, "decision_type", int)
    by_category = (kinds & _BY_CATEGORY) > 0
    threshold = _numbers(told, "threshold", float)
    rules = np.array([_MISSING[int(kind)] for kind in (kinds >> 2) & 3])
    return Tree(
        children=np.stack([_numbers(told, "left_child", int), _numbers(told, "right_child", int)], axis=1),
        feature=_numbers(told, "split_feature", int),
        threshold=np.where(by_category, 0.0, threshold),
        missing_right=((kinds & _DEFAULT_LEFT) == 0) | by_category,
        rule=np.where(by_category, TINY_IS_ZERO | CATEGORY, rules),
        cover=_numbers(told, "internal_count", float),
        leaf_cover=_numbers(told, "leaf_count", float),
        leaf_value=values,
        categories={int(node): _categories(told, int(threshold[node])) for node in np.flatnonzero(by_category)},
    )


def _categories(told: Mapping[str, str], number: int) -> Categories:
    begin, end = _numbers(told, "cat_boundaries", int)[number : number + 2]
    words = _numbers(told, "cat_threshold", int)[begin:end].astype("<u4")
    return Categories(np.unpackbits(words.view(np.uint8), bitorder="little") == 0, 1)


def _numbers(told: Mapping[str, str], name: str, kind: type) -> np.ndarray:
    return np.array([kind(word) for word in told[name].split()])
