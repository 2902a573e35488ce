"""Same input, same answer: against the record, one by one and in batch, against the champion, and in its reasons."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from monitoring.checks.performance import threshold_at
from monitoring.measurement import Measured, Measurement


def measure(
    *,
    golden: tuple[np.ndarray, np.ndarray] | None,
    online: np.ndarray,
    batch: np.ndarray,
    champion: np.ndarray | None,
    budget: float,
    unscorable: int = 0,
    explained: Mapping[str, Any] | None = None,
) -> Measured:
    """Measure reproduction of scores.

    `golden`: scores as recorded by the author and as the reloaded model gives them; `batch`: scores of n rows
    at once; `online`: of the first of them, sent one by one as JSON; `champion`: its scores of the same n rows;
    `unscorable`: how many rows of the holdout were left out because serving would refuse them; `explained`: how the
    served explanation of `rows` rows differs from the library's (`library`, `compiled`, `margin`, `mismatches`).
    """
    total = len(batch) + unscorable
    measurements = [
        Measurement("unscorable_rows", float(unscorable), total),
        Measurement("unscorable_share", unscorable / max(1, total), total),
    ]
    if golden is not None:
        recorded, now = golden
        measurements.append(Measurement("golden_difference", _largest(recorded, now), len(recorded)))
        measurements.append(Measurement("golden_mismatches", float((recorded != now).sum()), len(recorded)))
    measurements.append(Measurement("online_batch_difference", _largest(online, batch[: len(online)]), len(online)))
    evidence: dict[str, object] = {"golden_rows": len(golden[0]) if golden else 0, "online_rows": len(online)}
    if explained is not None:
        evidence["explanation"] = dict(explained)
        n = explained["rows"]
        measurements.append(Measurement("explanation_difference", explained["library"], n))
        measurements.append(Measurement("explanation_mismatches", float(explained["mismatches"]), n))
    if champion is not None:
        flips = _flagged(batch, budget) != _flagged(champion, budget)
        measurements.append(Measurement("decision_flips", float(flips.mean()), len(batch)))
        evidence["newly_flagged"] = int((flips & _flagged(batch, budget)).sum())
        evidence["no_longer_flagged"] = int((flips & _flagged(champion, budget)).sum())
    return Measured(measurements, evidence)


def _largest(left: np.ndarray, right: np.ndarray) -> float | None:
    return float(np.max(np.abs(left - right))) if len(left) else None


def _flagged(scores: np.ndarray, budget: float) -> np.ndarray:
    return scores >= threshold_at(scores, budget)
