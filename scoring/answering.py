"""The answer to a row: the model's score with its band and reasons, or the package's fallback, which says so."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from registry.models import Package
from scoring import runtimes, serving
from scoring.asking import Asked

REASONS = 4  # at most this many principal reasons: more are unlikely to help (Reg B commentary)

log = logging.getLogger(__name__)


def answer(served: serving.Serving, asked: Asked) -> dict[str, Any]:
    """Return the model's answer, or the fallback's where there is no model, or none that copes with this row."""
    return answer_all(served, [asked])[0]


def answer_all(served: serving.Serving, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Return the answer to each row, to the bit what `answer` says of it; the model is asked once for all of them."""
    if served.runtime is None:
        return [fallback(served.package, serving.NOT_LOADED) for _ in asked]
    try:
        rows = np.stack([one.vector for one in asked])
        explained = runtimes.checked(served.runtime.explain(rows), served.runtime.flavour)
    except Exception as error:  # noqa: BLE001 - whatever a model does with a row, the caller gets a decision
        if len(asked) > 1:  # a row that it does not cope with costs no other row its score
            return [answer(served, one) for one in asked]
        log.exception("deployment %s gave no valid score", served.deployment.pk)
        return [fallback(served.package, f"The model gave no valid score for these inputs ({type(error).__name__}).")]
    return [_said(served, one, explained, place) for place, one in enumerate(asked)]


def _said(served: serving.Serving, asked: Asked, explained: runtimes.Explained, place: int) -> dict[str, Any]:
    """Return what is answered to the row that was explained at a place."""
    score, attributions = float(explained.score[place]), explained.attributions[place].tolist()
    band = band_of(served.package, score)
    said = {
        "score": score,
        "band": band["name"],
        "action": band["action"],
        "margin": float(explained.margin[place]),
        "base": explained.base,
        "link": explained.link,
        "features": served.schema.names,
        "attributions": attributions,
        "reasons": reasons(served.package, served.schema.names, attributions),
    }
    if outside := served.schema.outside(asked.features):
        said["out_of_range"] = outside  # beyond what the reference data held: told, not refused
    return said


def band_of(package: Package, score: float) -> dict[str, Any]:
    """Return the decision band a score falls into."""
    found: dict[str, Any] = [band for band in package.bands if score >= band["from"]][-1]
    return found


def reasons(package: Package, names: list[str], attributions: list[float]) -> list[dict[str, Any]]:
    """Return the principal reasons: the features that raised the score most, through the package's reason map."""
    ranked = sorted(zip(attributions, names, strict=True), key=lambda item: (-item[0], item[1]))
    return [
        {**package.reasons[name], "feature": name, "contribution": value}
        for value, name in ranked[:REASONS]
        if value > 0
    ]


def fallback(package: Package, why: str) -> dict[str, Any]:
    """Return what is answered when no score can be given: the band that the package's signers chose for that."""
    band = next(band for band in package.bands if band["name"] == package.fallback["band"])
    return {"score": None, "band": band["name"], "action": band["action"], "reasons": [], "fallback": why}
