"""Compute decisions again, each model loaded once, and keep what came of it: asked for on a page, or by a command."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from registry import canonical, ledger
from registry.ids import uuid7
from registry.models import LedgerEntry, ModelVersion, User
from registry.refusals import Invalid, Mismatch, Unknown
from registry.schema import Schema
from scoring import environments, explaining, repeating, serving
from scoring.events import Event
from scoring.models import Decision, Environment, Explanation, Replay, ReplayRequest
from scoring.repeating import Difference, Recorded
from scoring.runtimes import Runtime

MOST = 1_000_000  # decisions of one run
SHOWN = 100  # differences that a report tells one by one
_BATCH = 500
_ON_PAGES = 20  # requests of pages that one nudge answers
_SAMPLE = """
SELECT d.id FROM scoring_decision d
{where} ORDER BY uuid_hash_extended(d.id, %s), d.id LIMIT %s
"""
Told = Callable[[str, int, int], None]


@dataclass
class Report:
    """What came of a run: how many decisions were compared, and of those that differ how many by kind, and which."""

    compared: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)  # number → how far it was off at most
    shown: list[dict[str, Any]] = field(default_factory=list)
    environments: dict[str, str] = field(default_factory=dict)  # flavour → digest of what this was computed with

    @property
    def differing(self) -> int:
        """How many decisions did not come out the same."""
        return sum(self.kinds.values())

    def add(self, decision: UUID, difference: Difference | None) -> None:
        """Count one decision."""
        self.compared += 1
        if difference is None:
            return
        self.kinds[difference.kind] = self.kinds.get(difference.kind, 0) + 1
        for name, size in difference.size.items():
            self.largest[name] = max(size, self.largest.get(name, 0.0))
        if len(self.shown) < SHOWN:
            self.shown.append({"decision": str(decision), **difference.dump()})

    def dump(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**vars(self), "differing": self.differing}


def sample(number: int, *, seed: int, model: str = "") -> list[UUID]:
    """Return so many decisions of all times, or all there are: the same ones for the same seed and record."""
    if not 0 < number <= MOST:
        raise Invalid(f"A sample has 1 to {MOST:,} decisions.")
    where = "JOIN registry_registeredmodel m ON m.id = d.model_id AND m.name = %s" if model else ""
    with connection.cursor() as cursor:
        cursor.execute(_SAMPLE.format(where=where), [*([model] if model else []), seed, number])
        return [row[0] for row in cursor.fetchall()]


def replay(identities: Sequence[UUID], told: Told) -> Report:
    """Compute these decisions again, version by version; Unknown when one is not on record."""
    report, done = Report(), 0
    for version, some in _by_version(identities):
        schema, (runtime, lost) = Schema.load(version.schema), _runtime(version)
        report.environments[version.flavour] = environments.digest(version.flavour)
        for recorded in _recorded(some):
            report.add(recorded.decision.pk, lost or repeating.difference(recorded, schema, runtime))
            done += 1
            told("replaying", done, len(identities))
    return report


def _by_version(identities: Sequence[UUID]) -> Iterator[tuple[ModelVersion, list[UUID]]]:
    found: dict[UUID, list[UUID]] = {}
    for some in _batches(identities):
        rows = Decision.objects.filter(pk__in=some).values_list("pk", "deployment__package__version_id")
        for identity, version in rows:
            found.setdefault(version, []).append(identity)
    known = {identity for some in found.values() for identity in some}
    if missing := next((identity for identity in identities if identity not in known), None):
        raise Unknown(f"No decision {missing} is on record.")
    for version, some in found.items():
        yield ModelVersion.objects.get(pk=version), some


def _batches(identities: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(identities), _BATCH):
        yield identities[start : start + _BATCH]


def _runtime(version: ModelVersion) -> tuple[Runtime | None, Difference | None]:
    """Return the model from its stored bytes, verified by digest; else why there is none."""
    try:
        return serving.model_of(version), None
    except (Mismatch, Invalid) as refusal:
        return None, Difference(repeating.DATA, [refusal.detail])


def _recorded(identities: Sequence[UUID]) -> Iterator[Recorded]:
    known = {row.digest: row.content for row in Environment.objects.all()}
    for some in _batches(identities):
        rows = Decision.objects.filter(pk__in=some).select_related("deployment__package__version").order_by("pk")
        entries = LedgerEntry.objects.in_bulk(some, field_name="uuid")
        later = {row.decision_id: row for row in Explanation.objects.filter(decision__in=some)}
        for row in rows:
            yield Recorded(row, entries.get(row.pk), later.get(row.pk), known)


def ask(*, decision: Decision, by: User, now: datetime) -> ReplayRequest:
    """Ask that a worker compute a decision again; who asks while somebody waits for it already waits with them."""
    waiting = ReplayRequest.objects.filter(decision=decision, replay=None).first()
    if waiting:
        return waiting
    with transaction.atomic():
        request = ReplayRequest.objects.create(decision=decision, asked_by=by, asked_at=now)
        facts = {"request": str(request.pk)}
        ledger.append(Event.REPLAY_REQUESTED, subject=f"decision:{decision.pk}", actor=by.actor, at=now, facts=facts)
    return request


def answer_waiting(now: datetime) -> int:
    """Answer requests of pages that wait; return how many."""
    waiting = ReplayRequest.objects.filter(replay=None).order_by("pk")[:_ON_PAGES]
    for request in waiting:
        report = replay([request.decision_id], lambda *_: None)
        keep(report, request=request, actor=explaining.ACTOR, now=now)
    return len(waiting)


def keep(
    report: Report,
    *,
    actor: str,
    now: datetime,
    request: ReplayRequest | None = None,
    chosen: dict[str, Any] | None = None,
) -> Replay:
    """Put on record what came of a run, once for each request. `chosen`: how its decisions were."""
    said = {**report.dump(), **({"chosen": chosen} if chosen else {})}
    counts = {"compared": report.compared, "differing": report.differing}
    with transaction.atomic():
        for flavour in report.environments:
            environments.record(flavour, now=now)
        row = Replay.objects.create(id=uuid7(), request=request, report=said, at=now, **counts)
        subject = f"decision:{request.decision_id}" if request else f"replay:{row.pk}"
        facts = {"replay": str(row.pk), "report": canonical.digest(said), **counts}
        ledger.append(Event.DECISION_REPLAYED, subject=subject, actor=actor, at=now, facts=facts)
    return row


def of(decision: Decision) -> Iterable[ReplayRequest]:
    """Return who asked for a replay of a decision, with what came of it, newest first."""
    return decision.replay_requests.select_related("replay", "asked_by").order_by("-asked_at")
