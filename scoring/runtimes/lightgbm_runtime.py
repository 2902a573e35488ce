"""LightGBM boosters from their native text, which holds no code. Attributions are the booster's own exact TreeSHAP."""

import lightgbm
import numpy as np

from registry.refusals import Invalid
from scoring.runtimes import Explained

flavour = "lightgbm"


class Booster:
    """A binary classifier."""

    flavour = flavour

    def __init__(self, booster: lightgbm.Booster) -> None:
        self.booster = booster

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of shape (n,)."""
        return np.asarray(self.booster.predict(rows, num_threads=1))

    def explain(self, rows: np.ndarray) -> Explained:
        """Return path-dependent TreeSHAP (Lundberg et al. 2020) in log-odds."""
        contributions = np.asarray(self.booster.predict(rows, pred_contrib=True, num_threads=1))
        margin = np.asarray(self.booster.predict(rows, raw_score=True, num_threads=1))
        return Explained(self.score(rows), margin, float(contributions[0, -1]), contributions[:, :-1], "logit")


def load(data: bytes, features: int) -> Booster:
    """Load a booster of a binary objective."""
    try:
        text = data.decode()
        booster = lightgbm.Booster(model_str=text)
    except (UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise Invalid("The LightGBM file cannot be read; log the Booster itself (model.booster_).") from error
    objective = next((line for line in text.split("\n", 20) if line.startswith("objective=")), "")
    if not objective.startswith(("objective=binary", "objective=cross_entropy")):
        raise Invalid(f"Only binary classifiers are served; this booster says {objective or 'no objective'!r}.")
    if booster.num_feature() != features:
        raise Invalid(f"The booster has {booster.num_feature()} features, its schema {features}.")
    return Booster(booster)
