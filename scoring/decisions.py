"""Answer with the champion, and keep answer, inputs and explanation together before anybody sees them.

Where its model is not loaded, or fails on a row, the fallback of its signed package is the answer, and says so.
"""

import hashlib
import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from registry import ledger
from registry.ids import uuid7
from registry.models import LedgerEntry, Package, User
from registry.refusals import Invalid, Unknown
from scoring import admission, commitments, recording, runtimes, serving
from scoring.events import Event
from scoring.models import Decision

REASONS = 4  # at most this many principal reasons: more are unlikely to help (Reg B commentary)

log = logging.getLogger(__name__)


def decide(
    *,
    name: str,
    features: Mapping[str, Any],
    by: User,
    now: datetime,
    request_id: str | None = None,
    entity: str = "",
    attributes: Mapping[str, str] | None = None,
) -> Decision:
    """Score one row with the champion of a model and record the decision in one transaction.

    Where no score can be given, the band of the package's fallback is answered: score, vector and attributions are None
    then, and the answer's `fallback` says why. Features that do not fit the schema are Invalid all the same.

    `attributes` (protected attributes, segments) are kept beside the decision for monitoring; no model sees them.
    The same `request_id` with the same features gives the same decision again; with others it is Invalid.
    """
    admission.demand()
    served = serving.champion(name, now=now)
    if request_id is not None and not (
        isinstance(request_id, str) and 0 < len(request_id) <= 100 and request_id.isprintable()
    ):
        raise Invalid("request_id is a text of 1 to 100 printable characters.")
    if not isinstance(entity, str) or len(entity) > 100 or not entity.isprintable():
        raise Invalid("entity is a text of at most 100 printable characters.")
    vector = served.schema.vector(features)
    kept = {"features": dict(features), "attributes": _attributes(attributes)}
    inputs = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(entity.encode() + b"\0" + inputs).hexdigest()
    known = _repeated(served, request_id, digest)
    if known:
        return known
    answer = _answer(served, vector)
    if answer["score"] is not None and (outside := served.schema.outside(features)):
        answer["out_of_range"] = outside  # beyond what the reference data held: told, not refused
    decision = _build(served, answer, inputs, now)
    decision.request_id, decision.request_digest, decision.entity = request_id, digest, entity
    decision.vector = None if decision.is_fallback else vector.tolist()
    try:
        with transaction.atomic():
            recording.record(decision, package=served.package.digest, by=by, now=now)
    except IntegrityError:
        known = _repeated(served, request_id, digest)
        if known is None:
            raise
        return known
    return decision


def _attributes(given: Mapping[str, str] | None) -> dict[str, str]:
    given = {} if given is None else given
    flat = isinstance(given, Mapping) and all(isinstance(v, str) and len(v) <= 100 for v in given.values())
    if not flat or len(given) > 20:
        raise Invalid("attributes is an object of at most 20 names and short texts.")
    return dict(given)


def _repeated(served: serving.Serving, request_id: str | None, digest: str) -> Decision | None:
    if request_id is None:
        return None
    known = Decision.objects.filter(model=served.deployment.model_id, request_id=request_id).first()
    if known and known.request_digest != digest:
        raise Invalid(f"request_id {request_id!r} was used for other features. Use a new one for a new request.")
    return known


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


def _answer(served: serving.Serving, vector: np.ndarray) -> dict[str, Any]:
    """Return the model's answer, or the fallback's where there is no model, or none that copes with this row."""
    if served.runtime is None:
        return fallback(served.package, serving.NOT_LOADED)
    try:
        explained = runtimes.checked(served.runtime.explain(vector[None]), served.runtime.flavour)
    except Exception as error:  # noqa: BLE001 - whatever a model does with a row, the caller gets a decision
        log.exception("deployment %s gave no valid score", served.deployment.pk)
        return fallback(served.package, f"The model gave no valid score for these inputs ({type(error).__name__}).")
    score, attributions = float(explained.score[0]), explained.attributions[0].tolist()
    band = band_of(served.package, score)
    return {
        "score": score,
        "band": band["name"],
        "action": band["action"],
        "margin": float(explained.margin[0]),
        "base": explained.base,
        "link": explained.link,
        "features": served.schema.names,
        "attributions": attributions,
        "reasons": reasons(served.package, served.schema.names, attributions),
    }


def fallback(package: Package, why: str) -> dict[str, Any]:
    """Return what is answered when no score can be given: the band that the package's signers chose for that."""
    band = next(band for band in package.bands if band["name"] == package.fallback["band"])
    return {"score": None, "band": band["name"], "action": band["action"], "reasons": [], "fallback": why}


def _build(served: serving.Serving, answer: dict[str, Any], inputs: bytes, now: datetime) -> Decision:
    return Decision(
        id=uuid7(),
        model_id=served.deployment.model_id,
        deployment=served.deployment,
        at=now,
        score=answer["score"],
        band=answer["band"],
        attributions=answer.get("attributions"),
        inputs=inputs,
        answer=orjson.dumps(answer, option=orjson.OPT_SORT_KEYS),
        inputs_salt=commitments.salt(),
        answer_salt=commitments.salt(),
    )


def entries(decision: Decision) -> QuerySet[LedgerEntry]:
    """Return the entries about a decision and its outcomes, oldest first."""
    found = ledger.of([decision.id, *decision.outcomes.values_list("pk", flat=True)])
    if any(entry.event == Event.DECISION_ANSWERED for entry in found):
        return found
    # Entered before entries went by their decision's identifier: a long search, for old decisions only.
    rows = LedgerEntry.objects.filter(log=ledger.DECISIONS, subject=f"decision:{decision.id}")
    return rows.select_related("leaf_row").order_by("id")


def answer_of(decision: Decision) -> dict[str, Any]:
    """Return what was answered, from the very bytes that were committed to."""
    answer: dict[str, Any] = orjson.loads(bytes(decision.answer))
    return answer


def inputs_of(decision: Decision) -> dict[str, Any]:
    """Return `features` and `attributes` as they were sent."""
    inputs: dict[str, Any] = orjson.loads(bytes(decision.inputs))
    return inputs


def by_id(decision_id: uuid.UUID) -> Decision:
    """Return a decision with what it was made under."""
    rows = Decision.objects.select_related("deployment__package__version__model", "deployment__package__policy")
    decision = rows.filter(pk=decision_id).first()
    if decision is None:
        raise Unknown(f"No decision {decision_id} is on record.")
    return decision
