"""LightGBM boosters from their native text, which holds no code. Scores are the booster's own."""

import math

import lightgbm
import numpy as np

from registry.refusals import Invalid
from scoring.runtimes import Explained, Scored, readers
from scoring.runtimes.lightgbm_rows import SingleRow
from scoring.treeshap import lightgbm_text
from scoring.treeshap.explainer import Explainer

flavour = "lightgbm"
_OBJECTIVES = ("objective=binary", "objective=cross_entropy")


class Booster:
    """A binary classifier, explained by quadrature, or by the booster where its trees are of another kind."""

    flavour, explains_inline = flavour, True

    def __init__(self, booster: lightgbm.Booster, explainer: Explainer | None) -> None:
        self.model, self.explainer = booster, explainer
        self.explains_by = "quadrature" if explainer else "library"
        self._row = {raw: SingleRow(booster, raw=raw) for raw in (False, True)}
        self._links = all(self._is_linked(row) for row in _probes(booster.num_feature()))

    def score(self, rows: np.ndarray) -> Scored:
        """Return probabilities and log-odds: of one row the booster is asked once, where its link is C's own."""
        margin = self._predicted(rows, raw=True)
        score = _linked(margin) if self._links and len(rows) == 1 else self._predicted(rows, raw=False)
        return Scored(score, margin, "logit")

    def _is_linked(self, row: np.ndarray) -> bool:
        """Say whether the booster's probability is, to the bit, what `_linked` makes of its log-odds."""
        return bool(_linked(self._predicted(row, raw=True)) == self._predicted(row, raw=False))

    def _predicted(self, rows: np.ndarray, *, raw: bool) -> np.ndarray:
        if len(rows) == 1:
            return self._row[raw].predict(rows)
        return np.asarray(self.model.predict(rows, raw_score=raw, num_threads=1))

    def explain(self, rows: np.ndarray) -> Explained:
        """Return path-dependent TreeSHAP (Lundberg et al. 2020) in log-odds."""
        scored = self.score(rows)
        if self.explainer:
            base, attributions = self.explainer.base, self.explainer.attributions(rows)
        else:
            base, attributions = self.contributions(rows)
        return Explained(scored.score, scored.margin, base, attributions, scored.link)

    def explain_slowly(self, rows: np.ndarray, background: np.ndarray) -> Explained:
        """Return the same, which needs no background."""
        return self.explain(rows)

    def contributions(self, rows: np.ndarray) -> tuple[float, np.ndarray]:
        """Return base and attributions as the library gives them."""
        found = np.asarray(self.model.predict(rows, pred_contrib=True, num_threads=1))
        return float(found[0, -1]), found[:, :-1]


def _linked(margin: np.ndarray) -> np.ndarray:
    """Return the logistic function of the only margin as LightGBM computes it, with the C library's exponential."""
    try:
        return np.array([1.0 / (1.0 + math.exp(-margin[0]))])
    except OverflowError:
        return np.zeros(1)


def _probes(features: int) -> np.ndarray:
    """Return 64 rows of shape (1, features) over many magnitudes, with which a link of another kind is noticed."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(64, 1, features)) * np.logspace(-3, 4, 64)[:, None, None]


def load(data: bytes, features: int, *, library: bool) -> Booster:
    """Load a booster of a binary objective; library: explained by its own library, whatever trees it has."""
    try:
        text = data.decode()
        booster = lightgbm.Booster(model_str=text)
    except (UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise Invalid("The LightGBM file cannot be read; log the Booster itself (model.booster_).") from error
    _demand_served(text)
    if booster.num_feature() != features:
        raise Invalid(f"The booster has {booster.num_feature()} features, its schema {features}.")
    return Booster(booster, readers.explainer(lambda: lightgbm_text.read(text), library=library))


def _demand_served(text: str) -> None:
    objective = next((line for line in text.split("\n", 20) if line.startswith("objective=")), "")
    name, *parameters = objective.split(" ")
    if name not in _OBJECTIVES or any(word.startswith("sigmoid:") and word != "sigmoid:1" for word in parameters):
        raise Invalid(f"Only binary classifiers are served; this booster says {objective or 'no objective'!r}.")
    if "\naverage_output" in text:
        raise Invalid("Attributions of boosting=rf do not add up in LightGBM; train with gbdt or dart.")
    if "\nis_linear=1" in text:
        raise Invalid("Trees with linear models in their leaves have no exact explanation; train without linear_tree.")
