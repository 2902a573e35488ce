"""Trees of scikit-learn's classifiers, read from the attributes of a fitted model; the library is not imported.

Forests and gradient boosting compare a float32 with a float64 threshold, histogram gradient boosting two float64; what
is not above the threshold goes left.
"""

from typing import Any

import numpy as np

from scoring.treeshap.forest import ROUND, Forest, Tree, Unreadable


def forest(model: Any) -> Forest:
    """Read a random forest or extra trees of two classes: the leaves add up to the probability of the second."""
    share = 1 / len(model.estimators_)
    trees = []
    for estimator in model.estimators_:
        values = estimator.tree_.value[:, 0, :]
        trees.append(_tree(estimator.tree_, values[:, 1] / values.sum(axis=1) * share))
    return Forest(trees, 0.0, model.n_features_in_)


def boosting(model: Any) -> Forest:
    """Read gradient boosting of two classes: the leaves add up to log-odds."""
    if model.init not in (None, "zero"):
        raise Unreadable("It starts from another model's predictions.")
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_)))
    trees = [_tree(step.tree_, step.tree_.value[:, 0, 0] * model.learning_rate) for step in model.estimators_[:, 0]]
    return Forest(trees, float(np.ravel(start)[0]), model.n_features_in_)


def histogram_boosting(model: Any) -> Forest:
    """Read histogram gradient boosting of two classes: the leaves add up to log-odds."""
    steps = [step[0].nodes for step in model._predictors]
    if any(nodes["is_categorical"].any() for nodes in steps):
        raise Unreadable("It splits on categories, whose codes it makes itself.")
    return Forest(
        [_histogram(nodes) for nodes in steps], float(np.ravel(model._baseline_prediction)[0]), model.n_features_in_
    )


def _tree(tree: Any, values: np.ndarray) -> Tree:
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count, np.uint8))
    children = np.stack([tree.children_left, tree.children_right], axis=1)
    inner = tree.children_left >= 0
    told = (children, inner, tree.feature, tree.threshold, missing, tree.weighted_n_node_samples, values)
    return _built(*told, rule=ROUND)


def _histogram(nodes: np.ndarray) -> Tree:
    children = np.stack([nodes["left"], nodes["right"]], axis=1).astype(int)
    told = (nodes["feature_idx"], nodes["num_threshold"], nodes["missing_go_to_left"], nodes["count"], nodes["value"])
    return _built(children, nodes["is_leaf"] == 0, *told, rule=0)


def _built(
    children: np.ndarray,
    inner: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    missing_left: np.ndarray,
    cover: np.ndarray,
    values: np.ndarray,
    *,
    rule: int,
) -> Tree:
    """Return a tree given by arrays over all of its nodes, the root first."""
    place = np.where(inner, np.cumsum(inner) - 1, ~(np.cumsum(~inner) - 1))
    cover = cover.astype(np.float64)
    return Tree(
        children=place[children[inner]],
        feature=feature[inner].astype(int),
        threshold=threshold[inner].astype(np.float64),
        missing_right=missing_left[inner] == 0,
        rule=np.full(inner.sum(), rule),
        cover=cover[inner],
        leaf_cover=cover[~inner],
        leaf_value=values[~inner].astype(np.float64),
        categories={},
    )
