"""Bring what the journal of this host keeps on record, in its order and exactly once, when the database is back.

A decision whose identifier is on record already was committed before its session broke: it is left as it is. Where a
request_id was answered on record and again from the journal, the second decision is kept too, without the request_id
and as a repetition of the first: both were answered, one counts.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.db import IntegrityError, transaction

from registry import durable, ledger
from scoring import outages, recording
from scoring.events import Event
from scoring.journal import Head, Kept
from scoring.models import Decision, Drain, Repetition, RequestKey
from scoring.recording import Record

BATCH = 200  # records of one transaction
_ATTEMPTS = 5  # at a batch, when requests answered at the same moment take a request_id of it

log = logging.getLogger(__name__)


def drain(now: datetime) -> int:
    """Enter every record of the journal and erase it; return how many were new to the database.

    Does nothing while another process of the host drains it. Whatever interrupts it, it may be done again.
    """
    with durable.held(outages.journal.folder / ".drain") as mine:
        return _drain(now) if mine else 0


def _drain(now: datetime) -> int:
    journal, new, done = outages.journal, 0, 0
    journal.verify()
    while len(some := list(islice(journal.records(done), BATCH))) == BATCH:
        new, done = new + _enter(some, now), some[-1].place
    with journal.locked():  # nobody adds to the rest
        for some in _batches(journal.records(done)):
            new, done = new + _enter(some, now), some[-1].place
        if head := journal.head:
            _record(head, now)
        journal.erase()
    log.warning("the journal was drained: %d records, %d of them new to the database", done, new)
    return new


@transaction.atomic
def _record(head: Head, now: datetime) -> None:
    """Put on record, once, that all of a journal is."""
    found = {"journal": head.journal, "records": head.records}
    _, made = Drain.objects.get_or_create(**found, defaults={"hash": head.hash.hex(), "at": now})
    if made:
        subject, facts = f"journal:{head.journal}", {**found, "hash": head.hash.hex()}
        ledger.append(Event.JOURNAL_DRAINED, subject=subject, actor="service:scoring", at=now, facts=facts)


def lost() -> list[str]:
    """Return what is wrong with journals that this process read and that are gone: they were never drained.

    Somebody took them away before the database had what they held; what is in none of them is lost.
    """
    heads = list(outages.vanished)
    drained = Drain.objects.filter(journal__in=[head.journal for head in heads]).values_list("journal", "records")
    enough = {
        head for head in heads for name, records in drained if (name, head.records <= records) == (head.journal, True)
    }
    outages.vanished.difference_update(enough)
    return [
        f"The journal {head.journal} held {head.records} decisions and is gone, but was never drained: what it held is "
        "lost. Find out who removed the file, and put it back."
        for head in outages.vanished
    ]


def _batches(records: Iterator[Kept]) -> Iterator[list[Kept]]:
    while some := list(islice(records, BATCH)):
        yield some


def _enter(kept: Sequence[Kept], now: datetime) -> int:
    records = [replace(outages.record(item.payload), journal=str(item), entered_at=now) for item in kept]
    for attempt in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                return _insert(records, now)
        except IntegrityError:
            if attempt + 1 == _ATTEMPTS:
                raise
    return 0


def _insert(records: Sequence[Record], now: datetime) -> int:
    there = set(Decision.objects.filter(pk__in=[item.decision.id for item in records]).values_list("pk", flat=True))
    new = [item for item in records if item.decision.id not in there]
    repeated = _repeated([item.decision for item in new])
    for item in new:
        if item.decision.id in repeated:
            item.decision.request_id = None
    # In the order of the journal; `recording.insert` would go by request_id.
    ledger.append_beside(recording.STATEMENT, ledger.DECISIONS, new, recording.parameters)
    Repetition.objects.bulk_create(
        Repetition(decision_id=key, repeats_id=first, at=now) for key, first in repeated.items()
    )
    return len(new)


def _repeated(rows: Sequence[Decision]) -> dict[UUID, UUID]:
    """Return which of these decisions answer a request_id that is taken on record, and by which decision."""
    named = [row.request_id for row in rows if row.request_id is not None]
    keys = RequestKey.objects.filter(model__in={row.model_id for row in rows}, request_id__in=named)
    taken = {(key.model_id, key.request_id): key.decision_id for key in keys}
    found = {row.id: taken.get((row.model_id, row.request_id or "")) for row in rows}
    return {key: first for key, first in found.items() if first is not None}
