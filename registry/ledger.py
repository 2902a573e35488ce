"""Append an entry in the caller's transaction; find entries about a subject.

Two logs share this code: `governance` holds every event about people, models and approvals, `decisions` one entry
per answer. Writers share no lock: the entry gets its index later, from the one sequencer (`registry.sequencing`).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import BooleanField, FloatField, QuerySet
from django.db.models.expressions import RawSQL

from registry import prepared, writers
from registry.ids import is_identifier, uuid7
from registry.models import LedgerEntry
from registry.refusals import Invalid

GOVERNANCE, DECISIONS = "governance", "decisions"
LOGS = (GOVERNANCE, DECISIONS)
LARGEST_ENTRY = 4096
COLUMNS = ("uuid", "log", "event", "subject", "actor", "at", "bytes")
_INSERT = f"INSERT INTO registry_ledgerentry ({', '.join(COLUMNS)}) VALUES ($1, $2, $3, $4, $5, $6, $7)"  # noqa: S608
_BINARY = [name == "bytes" for name in COLUMNS]
INSERT = prepared.Statement("countersign_entry", f"{_INSERT} RETURNING id", binary=_BINARY)
# Columns that only the database fills, hence no fields of the model. Nothing from outside is in these texts.
_EPOCH = RawSQL("registry_ledgerentry.epoch", ())  # noqa: S611
_XID = RawSQL("registry_ledgerentry.xid", ())  # noqa: S611
_AGE = RawSQL("extract(epoch FROM clock_timestamp() - registry_ledgerentry.inserted_at)::float8", (), FloatField())  # noqa: S611
_BEHIND = "(registry_ledgerentry.epoch, registry_ledgerentry.xid, registry_ledgerentry.id) > (%s, %s::text::xid8, %s)"
_LAST = """
SELECT e.epoch, e.xid::text, e.id FROM registry_leaf l JOIN registry_ledgerentry e ON e.id = l.entry_id
WHERE l.log = %s ORDER BY l.index DESC LIMIT 1
"""

Row = TypeVar("Row")
Parameters = list[bytes | None]
Place = tuple[int, int, int]  # epoch, transaction and id of an entry: the order in which entries get their index
BEGINNING: Place = (0, 0, 0)


class Event(StrEnum):
    """What the registry enters."""

    PERSON_ADDED = "person.added"
    PASSWORD_REFUSED = "password.refused"  # noqa: S105 - the name of an event
    TOKEN_ISSUED = "token.issued"  # noqa: S105
    TOKEN_REVOKED = "token.revoked"  # noqa: S105
    MODEL_REGISTERED = "model.registered"
    MODEL_TAGGED = "model.tagged"
    MODEL_ALIASED = "model.aliased"
    MODEL_DESCRIBED = "model.described"
    INVENTORY_RECORDED = "inventory.recorded"
    CARD_WRITTEN = "card.written"
    VERSION_REQUESTED = "version.requested"
    VERSION_REGISTERED = "version.registered"
    REGISTRATION_REFUSED = "registration.refused"
    ARTIFACT_DAMAGED = "artifact.damaged"
    ARTIFACT_RESTORED = "artifact.restored"
    DATASET_REGISTERED = "dataset.registered"
    RETENTION_ASSIGNED = "retention.assigned"
    POLICY_ADOPTED = "policy.adopted"
    PACKAGE_ASSEMBLED = "package.assembled"
    LOG_RECOVERED = "ledger.recovered"
    GAP_ACKNOWLEDGED = "gap.acknowledged"
    BREACH_ACKNOWLEDGED = "breach.acknowledged"


def append(
    event: StrEnum,
    *,
    subject: str,
    actor: str,
    at: datetime,
    facts: dict[str, Any],
    log: str = GOVERNANCE,
    identity: UUID | None = None,
) -> LedgerEntry:
    """Enter an event about a subject (`kind:id`) by an actor (`user:id` or `service:name`) in this transaction.

    `identity`: what the entry goes by, where it is to be found by the row it tells of (`of`).

    `facts` are a JSON object without personal data; long records and texts are entered by their digest. Raises
    RuntimeError outside a transaction, because an entry must not outlive the change it tells of, and Invalid above
    4 KiB.
    """
    identities = [identity] if identity else None
    return append_all(event, about=[(subject, facts)], actor=actor, at=at, log=log, identities=identities)[0]


def append_all(
    event: StrEnum,
    *,
    about: Sequence[tuple[str, dict[str, Any]]],
    actor: str,
    at: datetime,
    log: str = GOVERNANCE,
    identities: Sequence[UUID] | None = None,
) -> list[LedgerEntry]:
    """Enter the same event about many subjects (pairs of subject and facts), as `append` does for one.

    `identities`: what the entries go by, one each, where they are to be found by the rows they tell of (`of`).
    """
    writer = _writer()
    first = writer.upcoming(log)
    rows = [
        _row(identity, log, event, subject, actor, at, facts, (writer.name, first + place))
        for place, (identity, (subject, facts)) in enumerate(
            zip(identities or [uuid7() for _ in about], about, strict=True)
        )
    ]
    entries = [_insert(row) for row in rows]
    writer.wrote(log, len(rows))
    return entries


def beside(name: str, insert: str, *, binary: Sequence[bool]) -> prepared.Statement:
    """Return a statement that enters an entry and does another insert at once, whose parameters begin at $8.

    `insert` may begin with more inserts of its own: `, name AS (INSERT …)`.
    """
    return prepared.Statement(name, f"WITH entered AS ({_INSERT}) {insert}", binary=[*_BINARY, *binary])


def append_beside(
    statement: prepared.Statement, log: str, rows: Sequence[Row], parameters: Callable[[Row, str, int], Parameters]
) -> None:
    """Do the insert of a statement of `beside` for each of these rows, and enter it as `append` does, in one go.

    `parameters` of a row, for the writer's name and number of its entry: those of `entry`, then the insert's own.
    """
    writer = _writer()
    first = writer.upcoming(log)
    statement.run_all([parameters(row, writer.name, first + place) for place, row in enumerate(rows)])
    writer.wrote(log, len(rows))


def entry(
    event: StrEnum,
    *,
    identity: UUID,
    subject: str,
    actor: str,
    at: datetime,
    facts: dict[str, Any],
    log: str,
    writer: tuple[str, int],
) -> Parameters:
    """Return an entry as the parameters that begin a statement of `beside`; for what it says see `append`.

    It goes by the `identity` of the row it tells of: who knows the one finds the other without another index.
    `writer`: the name of who enters it, and as its how-manieth of this log.
    """
    return _parameters(_row(identity, log, event, subject, actor, at, facts, writer))


def _writer() -> writers.Writer:
    if not connection.in_atomic_block:
        raise RuntimeError("An entry must be written inside the transaction of the change it records.")
    return writers.mine()


def _row(
    identity: UUID,
    log: str,
    event: StrEnum,
    subject: str,
    actor: str,
    at: datetime,
    facts: dict[str, Any],
    writer: tuple[str, int],
) -> tuple[Any, ...]:
    """Return what is inserted of an entry, in the order of COLUMNS."""
    data = orjson.dumps(
        {
            "v": 1,
            "id": str(identity),
            "at": at.isoformat(timespec="microseconds"),
            "event": str(event),
            "subject": subject,
            "actor": actor,
            "writer": writer,
            "facts": facts,
        },
        option=orjson.OPT_SORT_KEYS,
    )
    if len(data) > LARGEST_ENTRY:
        raise Invalid(f"This {event} is too long to be entered ({len(data)} bytes of 4,096). Shorten its texts.")
    return identity, log, str(event), subject, actor, at, data


def _parameters(row: tuple[Any, ...]) -> Parameters:
    identity, log, event, subject, actor, at, data = row
    return [*(text.encode() for text in (str(identity), log, event, subject, actor, at.isoformat())), data]


def _insert(row: tuple[Any, ...]) -> LedgerEntry:
    number = INSERT.run(*_parameters(row))
    return LedgerEntry.from_db(connection.alias, ("id", *COLUMNS), (int(number or 0), *row))


def facts_of(entry: LedgerEntry) -> dict[str, Any]:
    """Return what an entry says; nothing for one that an administrator's hand put there in another form."""
    try:
        said = orjson.loads(bytes(entry.bytes))
    except orjson.JSONDecodeError:
        return {}
    facts = said.get("facts") if isinstance(said, dict) else None
    return facts if isinstance(facts, dict) else {}


def identifiers(kind: str, entries: Iterable[LedgerEntry]) -> set[str]:
    """Return the identifiers of this kind that are the subject of an entry (`kind:id`)."""
    named = {entry.subject.removeprefix(f"{kind}:") for entry in entries if entry.subject.startswith(f"{kind}:")}
    return {name for name in named if is_identifier(name)}


def about(subjects: Iterable[str]) -> QuerySet[LedgerEntry]:
    """Return the governance entries about these subjects, oldest first, each with its place if it has one."""
    return _in_order(LedgerEntry.objects.filter(log=GOVERNANCE, subject__in=list(subjects)))


def of(identities: Iterable[UUID]) -> QuerySet[LedgerEntry]:
    """Return the entries that go by these identifiers, as those about decisions and outcomes do, as `about` does."""
    return _in_order(LedgerEntry.objects.filter(uuid__in=list(identities)))


def _in_order(rows: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
    return rows.select_related("leaf_row").order_by("id")


def last_placed(log: str) -> Place:
    """Return where the entry stands that got its index last."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST, [log])
        row = cursor.fetchone()
    return (row[0], int(row[1]), row[2]) if row else BEGINNING


def waiting(log: str) -> QuerySet[LedgerEntry]:
    """Return the entries of a log without a place, in the order they will get one.

    They are looked for behind the last placed one, however long the log: none is missing before it but what an
    administrator's hand slipped in, which the sequencer's sweep finds.
    """
    behind = RawSQL(_BEHIND, last_placed(log), BooleanField())  # noqa: S611
    return LedgerEntry.objects.filter(behind, log=log, leaf_row=None).order_by(_EPOCH, _XID, "id")


def waiting_seconds(log: str) -> float | None:
    """Return for how many seconds the first entry in line has been waiting for its place; None when none does."""
    return waiting(log).annotate(age=_AGE).values_list("age", flat=True).first()
