"""The answer to a row: the model's score with its band and reasons, or the package's fallback, which says so."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from registry import fallbacks
from registry.models import Package
from registry.refusals import Mismatch
from scoring import environments, reasons, runtimes, serving
from scoring.asking import Asked
from scoring.runtimes import Explained, Runtime, Scored

PENDING = "pending"  # an explanation that a worker owes

log = logging.getLogger(__name__)


def answer(served: serving.Serving, asked: Asked) -> dict[str, Any]:
    """Return the model's answer, or the fallback's where there is no model, or none that copes with this row."""
    return answer_all(served, [asked])[0]


def answer_all(served: serving.Serving, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Return the answer to each row, to the bit what `answer` says of it; the model is asked once for all of them."""
    if served.runtime is None:
        return [fallback(served.package, serving.NOT_LOADED, one.features) for one in asked]
    scorable = [one for one in asked if not one.fallback]
    said = iter(_answered(served, served.runtime, scorable) if scorable else ())
    return [fallback(served.package, one.fallback, one.features) if one.fallback else next(said) for one in asked]


def _answered(served: serving.Serving, runtime: Runtime, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    try:
        said = scored(served.package, runtime, _rows(asked))
    except Exception as error:  # noqa: BLE001 - whatever a model does with a row, the caller gets a decision
        if len(asked) > 1:  # a row that it does not cope with costs no other row its score
            return [answer(served, one) for one in asked]
        log.exception("deployment %s gave no valid score", served.deployment.pk)
        why = f"The model gave no valid score for these inputs ({type(error).__name__})."
        return [fallback(served.package, why, one.features) for one in asked]
    for one, told in zip(asked, said, strict=True):
        if outside := served.schema.outside(one.features):
            told["out_of_range"] = outside  # beyond what the reference data held: told, not refused
    return said


def _rows(asked: Sequence[Asked]) -> np.ndarray:
    return asked[0].vector[None] if len(asked) == 1 else np.stack([one.vector for one in asked])


def scored(package: Package, runtime: Runtime, rows: np.ndarray) -> list[dict[str, Any]]:
    """Return what is answered to rows of shape (n, n_features); raises whatever the model raises.

    Where the explanation is deferred, by policy or because this runtime takes long over it, it is said to be pending.
    """
    if is_deferred(package, runtime):
        return _unexplained(package, runtime.flavour, runtime.score(rows))
    found = runtimes.checked(runtime.explain(rows), runtime.flavour)
    return [
        {**_banded(package, score), **explanation(package, runtime.flavour, found, place)}
        for place, score in enumerate(found.score.tolist())
    ]


def is_deferred(package: Package, runtime: Runtime) -> bool:
    """Say whether answers of this package are explained later, by a worker."""
    return package.policy.rules.get("explanations") == "deferred" or not runtime.explains_inline


def explanation(package: Package, flavour: str, explained: Explained, place: int = 0) -> dict[str, Any]:
    """Return what is said of why the row at a place has its score, and what that was computed with."""
    names = [column["name"] for column in package.version.schema]
    attributions = explained.attributions[place].tolist()
    return {
        "environment": environments.digest(flavour),
        "margin": float(explained.margin[place]),
        "base": explained.base,
        "link": explained.link,
        "features": names,
        "attributions": attributions,
        "reasons": reasons.principal(package.reasons, names, attributions),
    }


def _unexplained(package: Package, flavour: str, found: Scored) -> list[dict[str, Any]]:
    if not np.all((found.score >= 0) & (found.score <= 1)):
        raise Mismatch("A score of the model is no probability.")
    told = {"explanation": PENDING, "environment": environments.digest(flavour), "link": found.link, "reasons": []}
    pairs = zip(found.score.tolist(), found.margin.tolist(), strict=True)
    return [{**_banded(package, score), "margin": margin, **told} for score, margin in pairs]


def _banded(package: Package, score: float) -> dict[str, Any]:
    band = band_of(package, score)
    return {"score": score, "band": band["name"], "action": band["action"]}


def band_of(package: Package, score: float) -> dict[str, Any]:
    """Return the decision band a score falls into."""
    found: dict[str, Any] = [band for band in package.bands if score >= band["from"]][-1]
    return found


def fallback(package: Package, why: str, features: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is answered when no score can be given: the band that the package's signers chose for such features.

    `rule` says which of the package's rules decided, from 1 on, if any did; else `points` what its scorecard came to.
    """
    name, by = fallbacks.answers(package.fallback, features)
    band = next(band for band in package.bands if band["name"] == name)
    return {"score": None, "band": band["name"], "action": band["action"], "reasons": [], "fallback": why, **by}
