"""Whether the review budget falls on groups unequally."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from monitoring.candidates import Candidate, beside_champion
from monitoring.checks import bias, performance
from monitoring.examinations import parameters
from monitoring.measurement import Measured
from registry.refusals import Invalid


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure flags at the review budget by each protected attribute, the champion's on the same rows beside them."""
    if not candidate.groups:
        raise Invalid("The holdout names no protected attribute. Register it with at least one column of that role.")
    budget, smallest = rules["review_budget"], int(parameters(rules, "bias", "smallest")["smallest"])
    alphas = {name: limit["alpha"] for name, limit in rules["checks"]["bias"].items() if "alpha" in limit}

    def flags(scores: np.ndarray) -> Measured:
        flagged = scores >= performance.threshold_at(scores, budget)
        return bias.measure(candidate.labels, flagged, candidate.groups, smallest=smallest, alphas=alphas)

    return beside_champion(candidate, flags)
