"""XGBoost boosters from their native file, which holds no code. Attributions are the booster's own exact TreeSHAP."""

import numpy as np
import xgboost

from registry.refusals import Invalid
from scoring.runtimes import Explained, Scored

flavour = "xgboost"


class Booster:
    """A binary classifier."""

    flavour, explains_inline, explains_by = flavour, True, "library"

    def __init__(self, booster: xgboost.Booster) -> None:
        self.booster = booster

    def score(self, rows: np.ndarray) -> Scored:
        """Return probabilities and log-odds, float32 in float64."""
        matrix = self._matrix(rows)
        margin = np.asarray(self.booster.predict(matrix, output_margin=True), dtype=np.float64)
        return Scored(np.asarray(self.booster.predict(matrix), dtype=np.float64), margin, "logit")

    def explain(self, rows: np.ndarray) -> Explained:
        """Return path-dependent TreeSHAP in log-odds; the booster works in float32."""
        matrix = self._matrix(rows)
        contributions = np.asarray(self.booster.predict(matrix, pred_contribs=True), dtype=np.float64)
        scored = self.score(rows)
        return Explained(scored.score, scored.margin, float(contributions[0, -1]), contributions[:, :-1], scored.link)

    def explain_slowly(self, rows: np.ndarray, background: np.ndarray) -> Explained:
        """Return the same, which needs no background."""
        return self.explain(rows)

    def _matrix(self, rows: np.ndarray) -> xgboost.DMatrix:
        return xgboost.DMatrix(rows, feature_names=self.booster.feature_names, nthread=1)


def load(data: bytes, features: int) -> Booster:
    """Load a booster of a binary objective."""
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(data))
    except xgboost.core.XGBoostError as error:
        raise Invalid("The XGBoost file cannot be read; log the Booster itself (model.get_booster()).") from error
    if '"binary:logistic"' not in booster.save_config():
        raise Invalid("Only XGBoost boosters with objective binary:logistic are served.")
    if booster.num_features() != features:
        raise Invalid(f"The booster has {booster.num_features()} features, its schema {features}.")
    return Booster(booster)
