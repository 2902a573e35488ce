"""scikit-learn classifiers from skops files, whose types are checked against a list before anything is built.

Logistic regression (alone or behind a StandardScaler) is explained in closed form; trees and forests by
shap.TreeExplainer, path-dependent.
"""

import numpy as np
import shap
import skops.io
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from registry.refusals import Invalid
from scoring.runtimes import Explained

flavour = "sklearn"
_TREES = (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    ExtraTreesClassifier,
)
_TRUSTED = "sklearn."  # types whose loading runs no code but scikit-learn's own


class Linear:
    """Logistic regression: the attribution of a feature is its weight times its distance from the mean."""

    flavour = flavour

    def __init__(self, model: LogisticRegression, scaler: StandardScaler | None) -> None:
        scale = scaler.scale_ if scaler is not None else np.ones(model.coef_.shape[1])
        self.weights = model.coef_[0] / scale
        self.centre = scaler.mean_ if scaler is not None else np.zeros(model.coef_.shape[1])
        self.base = float(model.intercept_[0])

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of shape (n,)."""
        return self.explain(rows).score

    def explain(self, rows: np.ndarray) -> Explained:
        """Return weight × (value − mean), exact for a linear model (Lundberg and Lee 2017, corollary 1)."""
        attributions = (rows - self.centre) * self.weights
        margin = self.base + np.add.reduce(attributions, axis=1)
        return Explained(1 / (1 + np.exp(-margin)), margin, self.base, attributions, "logit")


class Trees:
    """Forests (probability space) and gradient boosting (log-odds)."""

    flavour = flavour

    def __init__(self, model: object) -> None:
        self.model = model
        self.explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        self.boosted = isinstance(model, GradientBoostingClassifier | HistGradientBoostingClassifier)

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of shape (n,), each row by itself so that batch and single rows agree to the bit."""
        return np.concatenate([self.model.predict_proba(row[None])[:, 1] for row in rows])  # type: ignore[attr-defined]

    def explain(self, rows: np.ndarray) -> Explained:
        """Return path-dependent TreeSHAP by shap."""
        values = np.asarray(self.explainer.shap_values(rows, check_additivity=False))
        base = np.ravel(self.explainer.expected_value)
        if values.ndim == 3:
            values, base = values[:, :, 1], base[1:]
        score = self.score(rows)
        margin = np.log(score / (1 - score)) if self.boosted else score
        return Explained(score, margin, float(base[0]), values, "logit" if self.boosted else "identity")


def load(data: bytes, features: int) -> Linear | Trees:
    """Load a binary classifier that can be explained exactly."""
    unknown = [name for name in skops.io.get_untrusted_types(data=data) if not name.startswith(_TRUSTED)]
    if unknown:
        raise Invalid(f"The skops file holds types that are not trusted: {', '.join(sorted(unknown)[:5])}.")
    model = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    scaler = None
    if isinstance(model, Pipeline) and len(model.steps) == 2 and isinstance(model.steps[0][1], StandardScaler):
        scaler, model = model.steps[0][1], model.steps[1][1]
    if getattr(model, "n_features_in_", features) != features or len(getattr(model, "classes_", ())) != 2:
        raise Invalid(f"The model is not a binary classifier of the {features} features of its schema.")
    if isinstance(model, LogisticRegression):
        return Linear(model, scaler)
    if isinstance(model, _TREES) and scaler is None:
        return Trees(model)
    raise Invalid(f"{type(model).__name__} has no exact explanation here; use logistic regression or trees.")
