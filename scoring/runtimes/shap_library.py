"""Explanations by `shap` itself: what ours is proven against, and the way out where ours does not read a model.

Imported by name, where it is asked for: the library takes seconds and hundreds of megabytes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import shap

EXACT = 10  # features: 2¹⁰ subsets


class Explainer:
    """Path-dependent TreeSHAP by shap.TreeExplainer, which asks boosters of LightGBM and XGBoost to do it."""

    def __init__(self, model: Any) -> None:
        self.explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        self.base = float(np.ravel(self.explainer.expected_value)[-1])

    def attributions(self, rows: np.ndarray) -> np.ndarray:
        """Return attributions of rows, float64 of shape (n, features)."""
        values = np.asarray(self.explainer.shap_values(rows, check_additivity=False))
        return values[:, :, 1] if values.ndim == 3 else values


def compiled(model: Any) -> Explainer:
    """Return what explains by shap's own tree code, whatever the model's library can do; it reads no categories."""
    made = Explainer(model)
    made.explainer.model.model_type = "internal"
    return made


def sampled(
    score: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean score of the background and attributions of rows to a model known by its answers alone.

    Exact for up to EXACT features, else by permutations: with a seed, so that the same rows give the same bits.
    """
    masker = shap.maskers.Independent(background, max_samples=len(background))
    found = [_sampler(score, masker, len(row))(row[None], silent=True) for row in rows]
    return float(np.ravel(found[0].base_values)[0]), np.concatenate([one.values for one in found])


def _sampler(score: Callable[[np.ndarray], np.ndarray], masker: Any, features: int) -> Any:
    """Return an explainer for one row: one that goes on to the next draws other permutations for it."""
    if features <= EXACT:
        return shap.explainers.Exact(score, masker)
    return shap.explainers.Permutation(score, masker, seed=0)
