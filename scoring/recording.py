"""Put decisions on record together with their entries and request ids: one statement for each, one journey for all.

The values go in PostgreSQL's binary form, so that a float is stored as it is and nothing is parsed.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from registry import ledger
from scoring import commitments
from scoring.events import Event
from scoring.models import Decision

_TEXTS = ("request_id", "request_digest", "entity", "at", "band")
COLUMNS = (
    *("id", "model_id", "deployment_id", *_TEXTS, "score", "vector", "attributions"),
    *("inputs", "answer", "inputs_salt", "answer_salt"),
)
_PLACE = {name: f"${place}" for place, name in enumerate(COLUMNS, start=1 + len(ledger.COLUMNS))}
KEY = (
    ", keyed AS (INSERT INTO scoring_requestkey (model_id, request_id, decision_id, request_digest)"
    " SELECT {model_id}::uuid, {request_id}::varchar, {id}::uuid, {request_digest}::varchar"
    " WHERE {request_id} IS NOT NULL)"
).format(**_PLACE)
STATEMENT = ledger.beside(
    "countersign_decision",
    f"{KEY} INSERT INTO scoring_decision ({', '.join(COLUMNS)}) VALUES ({', '.join(_PLACE.values())}) RETURNING xid",  # noqa: S608
    binary=[name not in _TEXTS for name in COLUMNS],
)
TAKEN = "scoring_requestkey_pkey"  # the constraint that a request_id violates when a decision has it already
_FLOAT8 = 701  # PostgreSQL's number of the type
_ONE_DIMENSION, _NO_NULLS, _FROM_ONE = 1, 0, 1
_ELEMENT = np.dtype([("length", ">i4"), ("number", ">f8")])


@dataclass(frozen=True)
class Record:
    """A decision that is to go on record: answered under a package (its digest), asked by an actor (`user:id`).

    `journal`: where a journal kept it while the database was gone, and `entered_at` when that was drained; else it is
    entered at the moment it was answered.
    """

    decision: Decision
    package: str
    actor: str
    journal: str = ""
    entered_at: datetime | None = None

    def facts(self) -> dict[str, Any]:
        """Return what its entry says: commitments to inputs and answer, neither of them itself."""
        row = self.decision
        return {
            "deployment": row.deployment_id,
            "package": self.package,
            "inputs": commitments.commit("inputs", bytes(row.inputs_salt), bytes(row.inputs)),
            "answer": commitments.commit("answer", bytes(row.answer_salt), bytes(row.answer)),
            **({"journal": self.journal} if self.journal else {}),
        }


def insert(records: Sequence[Record]) -> None:
    """Insert decisions and enter them, in the caller's transaction; errors are those of a Django INSERT.

    IntegrityError of the constraint TAKEN: a request_id has its decision already, and nothing was inserted.
    """
    ledger.append_beside(STATEMENT, ledger.DECISIONS, in_order(records), parameters)
    for record in records:
        record.decision._state.adding = False


def in_order(records: Iterable[Record]) -> list[Record]:
    """Return records in the `order` that everybody who inserts keeps to."""
    return sorted(records, key=order)


def order(record: Record) -> tuple[str, UUID]:
    """Return what records are inserted by: whoever sends the same request_ids at once waits, and never both ways."""
    return record.decision.request_id or "", record.decision.model_id


def parameters(record: Record, writer: str, number: int) -> ledger.Parameters:
    """Return what STATEMENT is sent with for a record that this writer enters as its `number`th of decisions.

    A number counts once what was sent with it is committed, and is given again when it was not: so it is drawn at the
    moment of sending. The entry goes by its decision's own identifier.
    """
    row = record.decision
    entry = ledger.entry(
        Event.DECISION_ANSWERED,
        identity=row.id,
        subject=f"decision:{row.id}",
        actor=record.actor,
        at=record.entered_at or row.at,
        facts=record.facts(),
        log=ledger.DECISIONS,
        writer=(writer, number),
    )
    return [*entry, *values(row)]


def values(decision: Decision) -> list[bytes | None]:
    """Return the columns of a decision as the statement takes them, in the order of COLUMNS."""
    texts = (decision.request_id, decision.request_digest, decision.entity, decision.at.isoformat(), decision.band)
    return [
        decision.id.bytes,
        decision.model_id.bytes,
        struct.pack(">q", decision.deployment_id),
        *(None if text is None else text.encode() for text in texts),
        None if decision.score is None else struct.pack(">d", decision.score),
        _floats(decision.vector),
        _floats(decision.attributions),
        *(bytes(data) for data in (decision.inputs, decision.answer, decision.inputs_salt, decision.answer_salt)),
    ]


def _floats(numbers: Sequence[float] | None) -> bytes | None:
    """Return a float8[] as PostgreSQL receives it: dimensions, then the length and the bits of each element."""
    if numbers is None:
        return None
    elements = np.empty(len(numbers), _ELEMENT)
    elements["length"], elements["number"] = 8, numbers
    return struct.pack(">5i", _ONE_DIMENSION, _NO_NULLS, _FLOAT8, len(numbers), _FROM_ONE) + elements.tobytes()
