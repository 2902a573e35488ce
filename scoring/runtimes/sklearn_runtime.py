"""scikit-learn classifiers from skops files, whose types are checked against a list before anything is built.

Scores are the model's own. Logistic regression, alone or behind scalers that treat each feature by itself, is explained
in closed form; trees and forests by quadrature, or by shap where they are of another kind.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import skops.io
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from registry.refusals import Invalid
from scoring.runtimes import Explained, Scored, readers
from scoring.treeshap import sklearn_trees

flavour = "sklearn"
_READERS: dict[type, Callable[[Any], Any]] = {
    GradientBoostingClassifier: sklearn_trees.boosting,
    HistGradientBoostingClassifier: sklearn_trees.histogram_boosting,
    RandomForestClassifier: sklearn_trees.forest,
    ExtraTreesClassifier: sklearn_trees.forest,
}
_SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
_TRUSTED = "sklearn."  # types whose loading runs no code but scikit-learn's own


class Linear:
    """Logistic regression: the attribution of a feature is its weight times its value as the scalers give it."""

    flavour, explains_inline, explains_by = flavour, True, "linear"

    def __init__(
        self, whole: LogisticRegression | Pipeline, last: LogisticRegression, scalers: Pipeline | None
    ) -> None:
        self.whole, self.scalers = whole, scalers
        self.weights, self.base = last.coef_[0], float(last.intercept_[0])

    def score(self, rows: np.ndarray) -> Scored:
        """Return the model's own probabilities and log-odds, each row by itself."""
        score = _one_by_one(lambda row: self.whole.predict_proba(row)[0, 1], rows)
        margin = _one_by_one(lambda row: self.whole.decision_function(row)[0], rows)
        return Scored(score, margin, "logit")

    def explain(self, rows: np.ndarray) -> Explained:
        """Return weight × scaled value, exact for a linear model (Lundberg and Lee 2017, corollary 1).

        Contributions are measured from where the scalers put zero: the training mean behind a StandardScaler.
        """
        scored = self.score(rows)
        scaled = self.scalers.transform(rows) if self.scalers is not None else rows
        return Explained(scored.score, scored.margin, self.base, scaled * self.weights, scored.link)

    def explain_slowly(self, rows: np.ndarray, background: np.ndarray) -> Explained:
        """Return the same, which needs no background."""
        return self.explain(rows)


class Trees:
    """Forests (probability space) and gradient boosting (log-odds)."""

    flavour, explains_inline = flavour, True

    def __init__(self, model: Any, *, library: bool) -> None:
        self.model = model
        self.boosted = isinstance(model, GradientBoostingClassifier | HistGradientBoostingClassifier)
        if not self.boosted:
            model.n_jobs = 1  # threads would add the trees up in the order in which they end
        ours = readers.explainer(lambda: _READERS[type(model)](model), library=library)
        self.explains_by = "quadrature" if ours else "library"
        self.explainer = ours or _by_shap(model)

    def score(self, rows: np.ndarray) -> Scored:
        """Return the model's own probabilities: trees add up row by row, so a row has the same bits among others."""
        with _taken():
            score = np.array(self.model.predict_proba(rows)[:, 1])
            margin = np.ravel(self.model.decision_function(rows)) if self.boosted else score
        return Scored(score, margin, "logit" if self.boosted else "identity")

    def explain(self, rows: np.ndarray) -> Explained:
        """Return path-dependent TreeSHAP."""
        scored, attributions = self.score(rows), self.explainer.attributions(rows)
        return Explained(scored.score, scored.margin, self.explainer.base, attributions, scored.link)

    def explain_slowly(self, rows: np.ndarray, background: np.ndarray) -> Explained:
        """Return the same, which needs no background."""
        return self.explain(rows)

    def contributions(self, rows: np.ndarray) -> tuple[float, np.ndarray]:
        """Return base and attributions as shap gives them."""
        explainer = _by_shap(self.model)
        return explainer.base, explainer.attributions(rows)


def _by_shap(model: Any) -> Any:
    return importlib.import_module("scoring.runtimes.shap_library").Explainer(model)


def load(data: bytes, features: int, *, library: bool) -> Linear | Trees:
    """Load a binary classifier that can be explained exactly; library: trees are explained by shap."""
    unknown = [name for name in skops.io.get_untrusted_types(data=data) if not name.startswith(_TRUSTED)]
    if unknown:
        raise Invalid(f"The skops file holds types that are not trusted: {', '.join(sorted(unknown)[:5])}.")
    model = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    last, scalers = _parts(model)
    if getattr(model, "n_features_in_", features) != features or len(getattr(model, "classes_", ())) != 2:
        raise Invalid(f"The model is not a binary classifier of the {features} features of its schema.")
    if isinstance(last, LogisticRegression):
        return Linear(model, last, scalers)
    if type(last) in _READERS and scalers is None:
        return Trees(last, library=library)
    raise Invalid(f"{type(last).__name__} has no exact explanation here; use logistic regression or trees.")


def _parts(model: object) -> tuple[object, Pipeline | None]:
    """Return what classifies, and the scalers before it if there are any."""
    *before, last = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    for step in (*before, last):
        vars(step).pop("feature_names_in_", None)  # rows come as arrays in the schema's order; it would warn of each
    strange = [type(step).__name__ for step in before if not isinstance(step, _SCALERS)]
    if strange:
        raise Invalid(f"A pipeline with {strange[0]} has no exact explanation here; use scalers only, or none.")
    return last, model[:-1] if before else None  # type: ignore[index]


def _one_by_one(ask: Callable[[np.ndarray], float], rows: np.ndarray) -> np.ndarray:
    """Ask for each row by itself: the sums of a batch depend on its size and layout in the last bit."""
    with _taken():
        return np.array([ask(row[None]) for row in rows], dtype=np.float64)


@contextmanager
def _taken() -> Iterator[None]:
    """Say what to do where scikit-learn refuses a row."""
    try:
        yield
    except ValueError as error:
        raise Invalid(
            f"The model does not take such a row: {str(error).splitlines()[0]} Send every feature it was trained on, "
            "or register a model that takes missing values."
        ) from error
