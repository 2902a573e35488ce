"""Trees of an XGBoost booster from its JSON form (https://xgboost.readthedocs.io/en/stable/dev/structxgboost_1_1Json.html).

Everything is float32 there: a value goes left if it is below the condition, so right if it is above the next smaller
number. NaN goes where `default_left` says. By category, those that are listed go right; a value is cut to a whole
number, and negative and unknown ones go left (src/common/categorical.h).
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from scoring.treeshap.forest import CATEGORY, POSITIVE, ROUND, Categories, Forest, Tree, Unreadable


def read(data: bytes | bytearray) -> Forest:
    """Read the trees of a binary:logistic booster, saved as JSON; Unreadable where they are of another kind."""
    learner = json.loads(data)["learner"]
    boosted, told = learner["gradient_booster"], learner["learner_model_param"]
    if boosted["name"] not in ("gbtree", "dart"):
        raise Unreadable(f"The booster is a {boosted['name']}, not made of trees.")
    if int(told["num_class"]) > 1 or int(told.get("num_target", 1)) > 1:
        raise Unreadable("The booster has more than one class.")
    trees = [_tree(tree) for tree in boosted.get("gbtree", boosted)["model"]["trees"]]
    for tree, weight in zip(trees, boosted.get("weight_drop", []), strict=False):  # of dart alone
        tree.leaf_value[:] *= np.float32(weight)
    mean = float(told["base_score"].strip("[]"))
    return Forest(trees, math.log(mean / (1 - mean)), int(told["num_feature"]))


def _tree(told: Mapping[str, Any]) -> Tree:
    if int(told["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise Unreadable("Its leaves hold vectors.")
    left, right = np.array(told["left_children"]), np.array(told["right_children"])
    splits = np.flatnonzero(left >= 0)
    leaves = np.flatnonzero(left < 0)
    place = np.empty(len(left), int)
    place[splits], place[leaves] = np.arange(len(splits)), ~np.arange(len(leaves))
    condition = np.array(told["split_conditions"], np.float32).astype(np.float64)
    cover = np.array(told["sum_hessian"], np.float32).astype(np.float64)
    by_category = np.array(told["split_type"])[splits] == 1
    return Tree(
        children=np.stack([place[left[splits]], place[right[splits]]], axis=1),
        feature=np.array(told["split_indices"])[splits],
        threshold=np.where(by_category, 0.0, np.nextafter(condition[splits], -np.inf)),
        missing_right=np.array(told["default_left"])[splits] == 0,
        rule=np.where(by_category, ROUND | CATEGORY | POSITIVE, ROUND),
        cover=cover[splits],
        leaf_cover=cover[leaves],
        leaf_value=condition[leaves],
        categories={int(place[node]): found for node, found in _categories(told).items()},
    )


def _categories(told: Mapping[str, Any]) -> dict[int, Categories]:
    found = {}
    segments = (told["categories_nodes"], told["categories_segments"], told["categories_sizes"])
    for node, begin, size in zip(*segments, strict=True):
        listed = np.array(told["categories"][begin : begin + size])
        right = np.zeros(listed.max(initial=-1) + 1, bool)
        right[listed] = True
        found[node] = Categories(right, 0)
    return found
