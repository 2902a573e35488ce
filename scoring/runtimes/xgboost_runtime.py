"""XGBoost boosters from their native file, which holds no code. Scores are the booster's own, which are float32."""

import numpy as np
import xgboost

from registry.refusals import Invalid
from scoring.runtimes import Explained, Scored, readers
from scoring.runtimes.xgboost_rows import Rows
from scoring.treeshap import xgboost_json
from scoring.treeshap.explainer import Explainer

flavour = "xgboost"


class Booster:
    """A binary classifier, explained by quadrature, or by the booster where it is asked to or not made of trees."""

    flavour, explains_inline = flavour, True

    def __init__(self, booster: xgboost.Booster, explainer: Explainer | None) -> None:
        self.model, self.explainer = booster, explainer
        self.explains_by = "quadrature" if explainer else "library"
        self._rows = {raw: Rows(booster, raw=raw) for raw in (False, True)}

    def score(self, rows: np.ndarray) -> Scored:
        """Return probabilities and log-odds, float32 in float64."""
        return Scored(self._rows[False].predict(rows), self._rows[True].predict(rows), "logit")

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
        matrix = xgboost.DMatrix(
            rows, feature_names=self.model.feature_names, feature_types=self.model.feature_types, nthread=1
        )
        found = np.asarray(self.model.predict(matrix, pred_contribs=True), dtype=np.float64)
        return float(found[0, -1]), found[:, :-1]


def load(data: bytes, features: int, *, library: bool) -> Booster:
    """Load a booster of a binary objective; library: explained by its own library, whatever trees it has."""
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(data))
    except xgboost.core.XGBoostError as error:
        raise Invalid("The XGBoost file cannot be read; log the Booster itself (model.get_booster()).") from error
    if '"binary:logistic"' not in booster.save_config():
        raise Invalid("Only XGBoost boosters with objective binary:logistic are served.")
    if booster.num_features() != features:
        raise Invalid(f"The booster has {booster.num_features()} features, its schema {features}.")
    return Booster(booster, readers.explainer(lambda: xgboost_json.read(booster.save_raw("json")), library=library))
