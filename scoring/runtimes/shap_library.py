"""Explanations by `shap` itself: what ours is proven against, and the way out where ours does not read a model.

Imported by name, where it is asked for: the library takes seconds and hundreds of megabytes.
"""

from typing import Any

import numpy as np
import shap


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
