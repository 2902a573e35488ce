"""Explain the decisions that were answered without: a worker completes them, and they are counted until it has.

Each explanation is a row of its own with an entry of its own; the decision and its entry stay as they were.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from django.db import connection, transaction
from django.db.models import Min, QuerySet

from registry import ledger, locks
from registry.models import ModelVersion
from registry.refusals import Mismatch, Refusal
from scoring import answering, backgrounds, commitments, environments, runtimes, serving
from scoring.events import Event
from scoring.models import Decision, Explanation
from scoring.runtimes import Runtime

AT_ONCE = 200  # decisions in one transaction
LATEST = 60.0  # seconds after which an explanation is overdue
ACTOR = "service:explainer"
_MODELS = 4  # that are kept loaded

log = logging.getLogger(__name__)
_served: OrderedDict[int, serving.Serving] = OrderedDict()
_below = 0  # transaction: every decision before it is explained
_broken: set[UUID] = set()  # decisions that this process could not explain


def waiting() -> QuerySet[Decision]:
    """Return the decisions that still owe an explanation, in the order in which they were committed."""
    owing = Decision.objects.filter(score__isnull=False, attributions__isnull=True, explanation=None, xid__gte=_below)
    return owing.order_by("xid", "pk")


def pending() -> int:
    """Return how many decisions still owe an explanation."""
    _pass_by()
    return waiting().count()


def overdue(now: datetime) -> list[str]:
    """Return what is wrong with the explanations that are owed: nothing, or that the oldest has waited too long."""
    oldest = waiting().aggregate(oldest=Min("at"))["oldest"]
    waited = (now - oldest).total_seconds() if oldest else 0
    if waited <= LATEST:
        return []
    return [f"An answer has been waiting for its explanation for {waited:.0f} s: does the explainer run?"]


def explain_waiting(now: datetime) -> int:
    """Explain some of the decisions that wait, in one transaction; return how many. One process at a time does it."""
    with locks.alone("explanations") as mine:
        if not mine:
            return 0
        _pass_by()
        rows = waiting().select_related("deployment__package__version__model", "deployment__package__policy")
        owing = list(rows.exclude(pk__in=_broken)[:AT_ONCE])
        found = [row for decision in owing if (row := _explained(decision, now))]
        if found:
            _add(found, now)
        return len(found)


def content_of(explanation: Explanation) -> dict[str, Any]:
    """Return what was explained, from the very bytes that were committed to."""
    content: dict[str, Any] = orjson.loads(bytes(explanation.content))
    return content


def commitment(explanation: Explanation) -> str:
    """Return the commitment under which an explanation is entered."""
    return commitments.commit("explanation", bytes(explanation.salt), bytes(explanation.content))


def computed(runtime: Runtime, version: ModelVersion, vector: np.ndarray) -> runtimes.Explained:
    """Return the explanation of a vector of shape (n_features,), however long it takes."""
    rows, inline = vector[None], runtime.explains_inline
    found = runtime.explain(rows) if inline else runtime.explain_slowly(rows, backgrounds.of(version))
    return runtimes.checked(found, runtime.flavour)


def _pass_by() -> None:
    """Never look again at decisions before the first that owes: of settled transactions none can appear there."""
    global _below
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
        oldest = int(cursor.fetchone()[0])
    first = waiting().values_list("xid", flat=True).first()
    _below = oldest if first is None else min(oldest, first)


def _explained(decision: Decision, now: datetime) -> Explanation | None:
    """Return the explanation of one decision; none, and a line in the log, where its score is not repeated."""
    try:
        runtime = _runtime(decision, now)
        explained = computed(runtime, decision.deployment.package.version, np.array(decision.vector, dtype=np.float64))
        if float(explained.score[0]) != decision.score:
            raise Mismatch(f"Its score is {decision.score!r}; computed again it is {float(explained.score[0])!r}.")
    except (Refusal, ValueError) as error:
        log.error("decision %s cannot be explained: %s", decision.pk, error)  # noqa: TRY400 - it says all
        _broken.add(decision.pk)
        return None
    said = answering.explanation(decision.deployment.package, runtime.flavour, explained)
    said["explained_by"] = runtime.explains_by
    return Explanation(
        decision=decision,
        attributions=said["attributions"],
        content=orjson.dumps(said, option=orjson.OPT_SORT_KEYS),
        salt=commitments.salt(),
        at=now,
    )


def _runtime(decision: Decision, now: datetime) -> Runtime:
    """Return the verified model that answered; the last few are kept."""
    key = decision.deployment_id
    if key not in _served:
        _served[key] = serving.load(decision.deployment)
        environments.record(decision.deployment.package.version.flavour, now=now)
    _served.move_to_end(key)
    while len(_served) > _MODELS:
        _served.popitem(last=False)
    runtime = _served[key].runtime
    if runtime is None:
        raise Mismatch("Its model is not loaded.")
    return runtime


@transaction.atomic
def _add(found: Iterable[Explanation], now: datetime) -> None:
    rows = Explanation.objects.bulk_create(found)
    ledger.append_all(
        Event.DECISION_EXPLAINED,
        about=[(f"decision:{row.decision_id}", {"explanation": commitment(row)}) for row in rows],
        actor=ACTOR,
        at=now,
        log=ledger.DECISIONS,
        identities=[row.pk for row in rows],
    )
