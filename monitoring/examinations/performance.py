"""How well the candidate orders the holdout."""

from collections.abc import Mapping
from typing import Any

from monitoring.candidates import Candidate, beside_champion
from monitoring.checks import performance
from monitoring.measurement import Measured


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure discrimination and calibration, the champion's on the same rows beside them."""
    budget = rules["review_budget"]
    return beside_champion(candidate, lambda scores: performance.measure(candidate.labels, scores, budget=budget))
