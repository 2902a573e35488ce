"""Hold what is on record against what was entered, both ways: a row taken away, changed, or put there without an entry.

The log proves that entries are complete and unchanged (`verify_ledger`); this proves that the rows still are what it
says. Records that an entry names by a digest are hashed anew; decisions and outcomes are committed to anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from governance import approvals
from governance.events import Event
from governance.models import ApprovalRequest, Order, Signature
from monitoring import runs
from monitoring.events import Event as Monitoring
from monitoring.models import CheckResult
from registry import canonical, datasets, inventory, ledger, packages, policies, prose, versions
from registry.ledger import DECISIONS, GOVERNANCE
from registry.ledger import Event as Registry
from registry.models import (
    Dataset,
    DatasetRetention,
    DatasetStatistics,
    InventoryRecord,
    LedgerEntry,
    ModelVersion,
    Package,
    Policy,
    Prose,
)
from scoring import asking, commitments, decisions, explaining, outcomes, overrides
from scoring.events import Event as Scoring
from scoring.models import Decision, Deployment, Drain, Explanation, Outcome, Override

_BATCH = 2000
_COMMITTED = ("deployment", "inputs", "answer", "outcome", "override", "explanation")  # facts about decisions
# No entry tells of request ids: they and the decisions are held against each other.
_TAKEN = """
SELECT d.id FROM scoring_decision d LEFT JOIN scoring_requestkey k USING (model_id, request_id)
WHERE d.request_id IS NOT NULL AND (k.decision_id, k.request_digest) IS DISTINCT FROM (d.id, d.request_digest)
"""
_TAKING = """
SELECT k.decision_id FROM scoring_requestkey k LEFT JOIN scoring_decision d ON d.id = k.decision_id
WHERE (d.model_id, d.request_id) IS DISTINCT FROM (k.model_id, k.request_id)
"""
Said = tuple[Any, ...]  # what an entry says of a record, in a form that its row gives too


@dataclass(frozen=True)
class Kind:
    """One kind of record: the events that enter it, which of their facts bind it, and the same from its rows."""

    name: str
    events: tuple[StrEnum, ...]
    facts: tuple[str, ...]
    rows: QuerySet[Any]
    said: Callable[[Any], Said]
    later: bool = False  # entries from before there was such a record say nothing of it


KINDS = (
    Kind(
        "version",
        (Registry.VERSION_REGISTERED,),
        ("version",),
        ModelVersion.objects.select_related("model"),
        lambda row: (canonical.digest(versions.manifest(row)),),
    ),
    Kind(
        "data set",
        (Registry.DATASET_REGISTERED,),
        ("record",),
        Dataset.objects.all(),
        lambda row: (canonical.digest(datasets.record(row)),),
    ),
    Kind(
        "statistics of data set",
        (Registry.DATASET_REGISTERED,),
        ("dataset", "statistics"),
        DatasetStatistics.objects.select_related("dataset"),
        lambda row: (row.dataset.digest, canonical.digest(row.content)),
        later=True,
    ),
    Kind(
        "retention class",
        (Registry.RETENTION_ASSIGNED,),
        ("retention", "dataset", "class", "reason"),
        DatasetRetention.objects.select_related("dataset"),
        lambda row: (str(row.id), row.dataset.digest, row.name, canonical.sha256(row.reason.encode())),
    ),
    Kind(
        "policy",
        (Registry.POLICY_ADOPTED,),
        ("policy",),
        Policy.objects.all(),
        lambda row: (canonical.digest(policies.record(row)),),
    ),
    Kind(
        "package",
        (Registry.PACKAGE_ASSEMBLED,),
        ("package",),
        Package.objects.select_related("version", "policy"),
        lambda row: (canonical.digest(packages.record(row)),),
    ),
    Kind(
        "inventory record",
        (Registry.INVENTORY_RECORDED,),
        ("inventory",),
        InventoryRecord.objects.select_related("model"),
        lambda row: (canonical.digest(inventory.said_in(row)),),
    ),
    Kind(
        "prose of a model card",
        (Registry.CARD_WRITTEN,),
        ("prose",),
        Prose.objects.select_related("version"),
        lambda row: (canonical.digest(prose.said_in(row)),),
    ),
    Kind(
        "check result",
        (Monitoring.CHECK_PERFORMED,),
        ("result",),
        CheckResult.objects.select_related("run__version", "run__policy"),
        lambda row: (canonical.digest(runs.record(row)),),
    ),
    Kind(
        "approval request",
        (Event.APPROVAL_REQUESTED,),
        ("request", "digest"),
        ApprovalRequest.objects.select_related("package__policy"),
        lambda row: (str(row.id), canonical.digest(approvals.record(row))),
    ),
    Kind(
        "signature",
        (Event.APPROVAL_SIGNED, Event.APPROVAL_REFUSED),
        ("request", "signature"),
        Signature.objects.all(),
        lambda row: (str(row.request_id), canonical.digest(approvals.signature_record(row))),
    ),
    Kind(
        "order",
        (Event.DEPLOYMENT_ORDERED,),
        ("order", "request", "kind"),
        Order.objects.all(),
        lambda row: (str(row.id), str(row.request_id), row.kind),
    ),
    Kind(
        "deployment",
        (Scoring.DEPLOYMENT_MADE,),
        ("deployment", "package", "request", "order", "envelope"),
        Deployment.objects.select_related("package"),
        lambda row: (row.pk, row.package.digest, str(row.request), str(row.order), row.warrant),
    ),
    Kind(
        "drained journal",
        (Scoring.JOURNAL_DRAINED,),
        ("journal", "records", "hash"),
        Drain.objects.all(),
        lambda row: (row.journal, row.records, row.hash),
    ),
)


def findings() -> Iterator[str]:
    """Yield what is not on record as it was entered, or not entered; all is read as it stood at one moment."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for kind in KINDS:
            yield from _compared(kind)
        yield from _each(Scoring.DECISION_ANSWERED, Decision.objects.all(), _answer)
        yield from _each(Scoring.OUTCOME_RECORDED, Outcome.objects.all(), _outcome)
        yield from _each(Scoring.OVERRIDE_RECORDED, Override.objects.all(), _override)
        yield from _each(Scoring.DECISION_EXPLAINED, Explanation.objects.select_related("decision"), _explanation)
        yield from (f"decision {key}: its request_id is not taken by it" for key in _found(_TAKEN))
        yield from (
            f"decision {key}: a request_id is taken by it that it was not asked under" for key in _found(_TAKING)
        )


def _compared(kind: Kind) -> Iterator[str]:
    rows = LedgerEntry.objects.filter(log=GOVERNANCE, event__in=kind.events)
    entered = {
        tuple(ledger.facts_of(entry).get(name) for name in kind.facts): entry.uuid for entry in rows.iterator(_BATCH)
    }
    held = {kind.said(row): row.pk for row in kind.rows.iterator(_BATCH)}
    for said, entry in entered.items():
        if said not in held and not (kind.later and said[-1] is None):
            yield f"{kind.name}: what entry {entry} tells of is not on record, or not as it was entered"
    for said, key in held.items():
        if said not in entered:
            yield f"{kind.name} {key}: was never entered as it stands"


def _each(event: StrEnum, rows: QuerySet[Any], said: Callable[[Any], Said]) -> Iterator[str]:
    """Compare, piece by piece, what has too many rows for memory: an entry has the identifier of its row."""
    noun = event.partition(".")[0]
    entries = LedgerEntry.objects.filter(log=DECISIONS, event=event)
    for some in _batches(entries.order_by("pk")):
        held = rows.in_bulk([entry.uuid for entry in some])
        for entry in some:
            row = held.get(entry.uuid)
            if row is None:
                yield f"{noun} {entry.uuid}: was entered, but is not on record"
            elif _facts(entry) != said(row):
                yield f"{noun} {entry.uuid}: is not as it was entered"
    for keys in _batches(rows.order_by("pk").values_list("pk", flat=True)):
        known = set(entries.filter(uuid__in=keys).values_list("uuid", flat=True))
        yield from (f"{noun} {key}: was never entered" for key in keys if key not in known)


def _batches(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    found = rows.iterator(_BATCH)
    while some := list(islice(found, _BATCH)):
        yield some


def _found(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [key for (key,) in cursor.fetchall()]


def _facts(entry: LedgerEntry) -> Said:
    said = ledger.facts_of(entry)
    return tuple(said.get(name) for name in _COMMITTED)


def _answer(row: Decision) -> Said:
    inputs = commitments.commit("inputs", bytes(row.inputs_salt), bytes(row.inputs))
    answer = commitments.commit("answer", bytes(row.answer_salt), bytes(row.answer))
    answered = decisions.answer_of(row)
    repeated = (answered.get("score"), answered.get("band"), answered.get("attributions"))
    # Monitors read these columns, which repeat parts of the answer's bytes.
    as_answered = repeated == (row.score, row.band, row.attributions)
    # What an online store brought, nobody sent: what was asked then is not all that is kept.
    as_asked = "online" in decisions.inputs_of(row) or row.request_digest == asking.digest(
        row.entity, bytes(row.inputs)
    )
    return _facts_in(deployment=row.deployment_id, inputs=inputs, answer=answer if as_answered and as_asked else "")


def _outcome(row: Outcome) -> Said:
    return _facts_in(outcome=outcomes.commitment(row))


def _override(row: Override) -> Said:
    return _facts_in(override=overrides.commitment(row))


def _explanation(row: Explanation) -> Said:
    same = explaining.content_of(row)["attributions"] == row.attributions
    return _facts_in(explanation=explaining.commitment(row) if same else "")


def _facts_in(**facts: Any) -> Said:
    return tuple(facts.get(name) for name in _COMMITTED)
