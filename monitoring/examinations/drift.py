"""Whether the holdout still looks like the reference: the same test as the monitor's, evidently's exhibit beside it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from monitoring import frames
from monitoring.candidates import Candidate
from monitoring.checks import drift, exhibit
from monitoring.examinations import parameters
from monitoring.measurement import Measured


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure drift and add what evidently shows; its values never judge."""
    reference, names = candidate.reference, candidate.schema.names
    measured = drift.measure(
        _columns(names, frames.encode(reference, candidate.schema)),
        _columns(names, candidate.vectors),
        **parameters(rules, "drift", "delta", "alpha"),
    )
    categorical = [column.name for column in candidate.schema.columns if column.kind in ("category", "boolean")]
    shown = exhibit.drift(reference[names], candidate.holdout[names], categorical=categorical)
    return replace(measured, evidence={**measured.evidence, "evidently": shown})


def _columns(names: list[str], rows: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(names, rows.T, strict=True))
