"""What must not happen to a log: seen by the sequencer, kept, and an alarm until a person has answered it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from registry import canonical, ledger
from registry.models import Breach, BreachAnswer
from registry.refusals import Invalid, Unknown
from registry.tlog import writers

LONGEST = 2000  # bytes of a detail, which is part of an index; characters of a reason
GAP, WRITER = "gap", "writer"


def record(*, log: str, kind: str, detail: str, now: datetime, facts: dict[str, Any] | None = None) -> Breach:
    """Keep a breach; one that is known already is not kept twice. `facts`: what its answer will name."""
    more = {"seen_at": now, "facts": facts or {}}
    return Breach.objects.get_or_create(log=log, kind=kind, detail=_storable(detail), defaults=more)[0]


def _storable(detail: str) -> str:
    """Return a detail as a column and its index hold it; one that had to be cut ends with the digest of the whole."""
    data = detail.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="backslashreplace")
    if len(data) <= LONGEST:
        return data.decode()
    mark = f"… (SHA-256 {canonical.sha256(data)})"
    return data[: LONGEST - len(mark.encode())].decode(errors="ignore") + mark


def of_writer(*, log: str, wrong: writers.Gap | writers.Fault, now: datetime) -> Breach:
    """Keep what a writer's numbers show: entries taken away before they got their place, or slipped in."""
    if isinstance(wrong, writers.Fault):
        facts = {"writer": wrong.writer, "number": wrong.number, "index": wrong.index}
        return record(log=log, kind=WRITER, detail=f"{wrong}.", now=now, facts=facts)
    facts = {"writer": wrong.writer, "from": wrong.first, "to": wrong.last}
    return record(log=log, kind=GAP, detail=f"{wrong}: taken away before it got its place.", now=now, facts=facts)


def unanswered(log: str) -> QuerySet[Breach]:
    """Return the breaches of a log that nobody has answered, oldest first."""
    return Breach.objects.filter(log=log, answer=None).order_by("seen_at")


def answered(*, log: str, detail: str) -> bool:
    """Say whether a person has answered exactly this breach."""
    return Breach.objects.filter(log=log, detail=detail[:LONGEST], answer__isnull=False).exists()


def answer(*, breach_id: UUID, reason: str, by: str, now: datetime) -> BreachAnswer:
    """Say what came of a breach, and enter it in the log it happened to; it is no alarm any more.

    `by`: the actor, `user:id` or `service:name`. An answered gap or fault of a writer is one that verifiers of
    the log accept.
    """
    breach = Breach.objects.filter(pk=breach_id).first()
    if breach is None:
        raise Unknown(f"No breach {breach_id} is on record. `manage.py breaches` lists them.")
    if not reason.strip() or len(reason) > LONGEST or "\0" in reason:
        raise Invalid(f"Give a reason of 1 to {LONGEST} characters: it is kept.")
    if BreachAnswer.objects.filter(breach=breach).exists():
        raise Invalid(f"Breach {breach_id} is answered already.")
    event = ledger.Event.GAP_ACKNOWLEDGED if breach.kind == GAP else ledger.Event.BREACH_ACKNOWLEDGED
    facts = {**breach.facts, "breach": str(breach.pk), "reason": canonical.sha256(reason.strip().encode())}
    with transaction.atomic():
        subject = f"breach:{breach.pk}"
        ledger.append(event, subject=subject, actor=by, at=now, facts=facts, log=breach.log, identity=breach.pk)
        return BreachAnswer.objects.create(breach=breach, reason=reason.strip(), answered_by=by, answered_at=now)
