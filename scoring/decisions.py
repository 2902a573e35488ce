"""Answer with the champion, and keep answer, inputs and explanation together before anybody sees them.

Where its model is not loaded, or fails on a row, the fallback of its signed package is the answer, and says so.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import orjson
from django.db.models import QuerySet

from registry import ledger
from registry.ids import uuid7
from registry.models import LedgerEntry, User
from registry.refusals import Invalid, Unknown
from scoring import admission, answering, asking, commitments, committing, contact, outages, reasons, serving
from scoring.asking import Asked
from scoring.events import Event
from scoring.models import Decision, Explanation, RequestKey
from scoring.recording import Record


def decide(
    *,
    name: str,
    features: Mapping[str, Any],
    by: User,
    now: datetime,
    request_id: str | None = None,
    entity: str = "",
    attributes: Mapping[str, str] | None = None,
    version: int | None = None,
) -> Decision:
    """Score one row with the champion of a model and record the decision in one transaction.

    Where no score can be given, the band of the package's fallback is answered: score, vector and attributions are None
    then, and the answer's `fallback` says why. Features that do not fit the schema are Invalid all the same.

    `attributes` (protected attributes, segments) are kept beside the decision for monitoring; no model sees them.
    The same `request_id` with the same features gives the same decision again; with others it is Invalid.
    `version`: the number that must be the champion's; for another one this is a Conflict, and nothing is decided.
    """
    admission.demand()
    served = serving.champion(name, now=now)
    serving.demand_version(served, version)
    told: dict[str, Any] = {"features": features, "request_id": request_id, "entity": entity, "attributes": attributes}
    asked = asking.read(served.schema, **told, now=now)
    if known := _journalled(served, asked) or (
        _known(served, asked) if committing.suspected(_key(served, asked)) else None
    ):
        return known
    decision = _build(served, asked, answering.answer(served, asked), now)
    try:
        committing.put([Record(decision, served.package.digest, by.actor)])
    except committing.Repeated:
        committing.suspect(_key(served, asked))
        known = _journalled(served, asked) or _known(served, asked)
        if known is None:
            raise
        return known
    return decision


def decide_many(
    *, name: str, rows: Sequence[Mapping[str, Any]], by: User, now: datetime, version: int | None = None
) -> list[Decision]:
    """Score 1 to 1,000 rows (`asking.read_all`) as `decide` does one, and record all decisions in one transaction.

    Returned in the order of the rows. One row that is wrong refuses all, and nothing is recorded. A row whose
    `request_id` has a decision already gets that one. `version` as for one.
    """
    committing.take_time()
    admission.demand()
    served = serving.champion(name, now=now)
    serving.demand_version(served, version)
    asked = asking.read_all(served.schema, rows, now=now)
    known = _all_known(served, asked)
    new = [one for one in asked if one.request_id not in known]
    answers = answering.answer_all(served, new) if new else []
    made = [_build(served, one, answer, now) for one, answer in zip(new, answers, strict=True)]
    decided = {id(one): decision for one, decision in zip(new, made, strict=True)}
    while waiting := [row for row in made if row.request_id not in known]:
        try:
            committing.put([Record(row, served.package.digest, by.actor) for row in waiting])
            break
        except committing.Repeated:  # somebody sent one of them at the same moment
            known, before = _all_known(served, asked), known
            if len(known) == len(before):
                raise
    return [known.get(one.request_id) or decided[id(one)] for one in asked]


def taken(name: str, request_ids: Sequence[Any], *, now: datetime) -> set[str]:
    """Return which of these request ids have a decision of a model, as far as can be found out at the moment."""
    served, asked = serving.champion(name, now=now), [one for one in request_ids if isinstance(one, str)]
    kept = {one for one in asked if outages.decided(served.deployment.model_id, one)}
    keys = [] if contact.gone() else _keys(served).filter(request_id__in=asked).values_list("request_id", flat=True)
    return kept.union(keys)


def _key(served: serving.Serving, asked: Asked) -> committing.Key:
    return served.deployment.model_id, asked.request_id or ""


def _known(served: serving.Serving, asked: Asked) -> Decision | None:
    """Return the decision that was made under the same request_id; Invalid when it was asked for something else."""
    known = _keys(served).filter(request_id=asked.request_id).first()
    if known and known.request_digest != asked.digest:
        raise Invalid(_used(asked.request_id))
    return known.decision if known else None


def _journalled(served: serving.Serving, asked: Asked) -> Decision | None:
    """Return the same from the journal of this host, which the database has not taken yet."""
    known = outages.decided(served.deployment.model_id, asked.request_id)
    if known:
        known.deployment = serving.known(known.deployment_id) or known.deployment
        if known.request_digest != asked.digest:
            raise Invalid(_used(asked.request_id))
    return known


def _all_known(served: serving.Serving, asked: Sequence[Asked]) -> dict[str | None, Decision]:
    """Return the decisions that were made under these request ids; Invalid points to those asked for something else."""
    digests = {one.request_id: one.digest for one in asked if one.request_id}
    kept = {one.request_id: known for one in asked if (known := _journalled(served, one))}
    keys = list(_keys(served).filter(request_id__in=digests)) if digests and not contact.gone() else []
    if used := [key.request_id for key in keys if key.request_digest != digests[key.request_id]]:
        raise asking.of_rows(asked, {request_id: _used(request_id) for request_id in used})
    return {**kept, **{key.request_id: key.decision for key in keys}}


def _keys(served: serving.Serving) -> QuerySet[RequestKey]:
    rows = RequestKey.objects.filter(model=served.deployment.model_id)
    return rows.select_related("decision__deployment__package__version__model")


def _used(request_id: str | None) -> str:
    return f"request_id {request_id!r} was used for other features. Use a new one for a new request."


def _build(served: serving.Serving, asked: Asked, answer: dict[str, Any], now: datetime) -> Decision:
    scored = answer["score"] is not None
    decision = Decision(
        id=uuid7(),
        model_id=served.deployment.model_id,
        deployment=served.deployment,
        request_id=asked.request_id,
        request_digest=asked.digest,
        entity=asked.entity,
        at=now,
        score=answer["score"],
        band=answer["band"],
        vector=asked.vector.tolist() if scored else None,
        attributions=answer.get("attributions"),
        inputs=asked.inputs,
        answer=orjson.dumps(answer, option=orjson.OPT_SORT_KEYS),
        inputs_salt=commitments.salt(),
        answer_salt=commitments.salt(),
    )
    decision.said = answer
    return decision


def entries(decision: Decision) -> QuerySet[LedgerEntry]:
    """Return the entries about a decision, its later explanation, its outcomes and overrides, oldest first."""
    later = Explanation.objects.filter(decision=decision).values_list("pk", flat=True)
    others = (rows.values_list("pk", flat=True) for rows in (decision.outcomes, decision.overrides))
    found = ledger.of([decision.id, *later, *chain.from_iterable(others)])
    if any(entry.event == Event.DECISION_ANSWERED for entry in found):
        return found
    # Entered before entries went by their decision's identifier: a long search, for old decisions only.
    rows = LedgerEntry.objects.filter(log=ledger.DECISIONS, subject=f"decision:{decision.id}")
    return rows.select_related("leaf_row").order_by("id")


def answer_of(decision: Decision) -> dict[str, Any]:
    """Return what was answered, as the very bytes say that were committed to."""
    if decision.said is None:
        decision.said = orjson.loads(bytes(decision.answer))
    return decision.said


def inputs_of(decision: Decision) -> dict[str, Any]:
    """Return `features` and `attributes` as they were used, and of `online` which came from the store, and when."""
    inputs: dict[str, Any] = orjson.loads(bytes(decision.inputs))
    return inputs


def by_id(decision_id: uuid.UUID) -> Decision:
    """Return a decision with what it was made under."""
    rows = Decision.objects.select_related("deployment__package__version__model", "deployment__package__policy")
    decision = rows.filter(pk=decision_id).first()
    if decision is None:
        raise Unknown(f"No decision {decision_id} is on record.")
    return decision


def explained(decision: Decision) -> dict[str, Any]:
    """Return what was answered, with the explanation that followed where it was deferred."""
    later = Explanation.objects.filter(decision=decision).first() if decision.owes_explanation else None
    answer = answer_of(decision)
    return {**answer, **orjson.loads(bytes(later.content)), "explanation": "followed"} if later else answer


def reasons_of(decision: Decision, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the reasons of an answer that a customer may be told, with their text from the signed package."""
    return reasons.told(decision.deployment.package.reasons, answer["reasons"])


def investigated(decision: Decision, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all reasons with the investigator's text, restricted ones too; none where nothing is explained."""
    if "attributions" not in answer:
        return []
    return reasons.investigated(decision.deployment.package.reasons, answer["features"], answer["attributions"])
