"""Decisions while the database is gone: kept in the journal of this host, for as long as a policy allows.

A request_id that is in the journal is answered from it by every worker of the host, until all of it is drained.
"""

import base64
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db.models import BinaryField, Field

from registry.models import Policy
from registry.refusals import Unavailable
from scoring import contact, sent
from scoring.journal import Head, Journal, Kept
from scoring.models import Decision
from scoring.recording import Record

Key = tuple[UUID, str]  # a model and a request_id
MEGABYTE = 1_000_000
SENT = (
    "The database does not answer, and this request_id was sent to it before, so that it may have its "
    "decision already. Nothing was decided anew; send the same again when the database is back, and it gets that one."
)

vanished: set[Head] = set()  # journals that were read here and are gone; whether they were drained, the database knows
_known: dict[Key, int] = {}  # where the journal holds the decision of a request_id


class Taken(Exception):
    """A request_id is in the journal already: the decision there is the answer."""


class Drained(Exception):
    """There is no journal any more: another process of the host has brought it on record."""


def _read(kept: Kept) -> None:
    row = orjson.loads(kept.payload)["decision"]
    if row["request_id"] is not None:
        _known[UUID(row["model_id"]), row["request_id"]] = kept.at


def _forget(head: Head) -> None:
    _known.clear()
    vanished.add(head)


journal = Journal(settings.HOME / "journal", _read, _forget)


def keep(records: Sequence[Record], *, begin: bool = True) -> None:
    """Keep records that the database did not take: they are on the disk when this returns.

    Taken when one of their request_ids is there already; Unavailable when one was sent to the database before it was
    gone, when the policy of their package allows it no more, or the disk does not take them. All are kept, or none.
    Without `begin`, Drained when there is no journal yet.
    """
    payloads = [payload(record) for record in records]
    with journal.locked():
        if not begin and not journal.waits:
            raise Drained
        if any(_key(record.decision) in _known for record in records):
            raise Taken
        if any(sent.otherwise(record.decision) for record in records):
            raise Unavailable(SENT)
        for policy in {record.decision.deployment.package.policy for record in records}:
            _demand(policy, sum(map(len, payloads)))
        journal.append(payloads)


def decided(model: UUID, request_id: str | None) -> Decision | None:
    """Return the decision that the journal holds for a request_id of a model; None when it holds none."""
    if request_id is None or not journal.waits:
        return None
    with journal.locked():
        at = _known.get((model, request_id))
        return None if at is None else record(journal.payload(at)).decision


def _key(decision: Decision) -> Key:
    return decision.model_id, decision.request_id or ""


def _demand(policy: Policy, more: int) -> None:
    """Raise Unavailable when a policy does not let one more answer be given on the word of the past."""
    limits = policy.rules.get("outage", {"minutes": 0, "megabytes": 0})
    if contact.age() > limits["minutes"] * 60:
        raise Unavailable(
            f"The database does not answer, and for more than {limits['minutes']} minutes, which policy "
            f"{policy.digest[:12]} allows, nobody could say what serves and who may ask. Nothing was decided; send the "
            "same again when the database is back."
        )
    if journal.size + more > limits["megabytes"] * MEGABYTE:
        raise Unavailable(
            f"The database does not answer, and the journal of this host holds {limits['megabytes']} MB, as much as "
            f"policy {policy.digest[:12]} allows. Nothing was decided; send the same again when the database is back."
        )


def payload(given: Record) -> bytes:
    """Return a record as the journal holds it: JSON in one form, bytes and arrays of float64 as base64."""
    row = {field.attname: _plain(field, getattr(given.decision, field.attname)) for field in _fields()}
    told = {"actor": given.actor, "decision": row, "package": given.package}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def record(data: bytes) -> Record:
    """Return the record that a payload of the journal holds, to the bit."""
    said = orjson.loads(data)
    row = {field.attname: _back(field, said["decision"][field.attname]) for field in _fields()}
    return Record(Decision(**row), said["package"], said["actor"])


def _fields() -> list[Field]:
    return [field for field in Decision._meta.concrete_fields if not field.has_db_default()]


def _plain(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, ArrayField):
        return base64.b64encode(np.asarray(value, "<f8").tobytes()).decode()
    return base64.b64encode(bytes(value)).decode() if isinstance(field, BinaryField) else value


def _back(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, ArrayField):
        return np.frombuffer(base64.b64decode(value), "<f8").tolist()
    return base64.b64decode(value) if isinstance(field, BinaryField) else field.to_python(value)
