"""Put decisions on record together with their entries: one statement for each, one journey to the database.

The values go in PostgreSQL's binary form, so that a float is stored as it is and nothing is parsed.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from registry import ledger
from scoring import commitments
from scoring.events import Event
from scoring.models import Decision

_TEXTS = ("request_id", "request_digest", "entity", "at", "band")
COLUMNS = (
    *("id", "model_id", "deployment_id", *_TEXTS, "score", "vector", "attributions"),
    *("inputs", "answer", "inputs_salt", "answer_salt"),
)
_PLACES = ", ".join(f"${place}" for place in range(8, 8 + len(COLUMNS)))
STATEMENT = ledger.beside(
    "countersign_decision",
    f"INSERT INTO scoring_decision ({', '.join(COLUMNS)}) VALUES ({_PLACES}) RETURNING xid",  # noqa: S608
    binary=[name not in _TEXTS for name in COLUMNS],
)
_FLOAT8 = 701  # PostgreSQL's number of the type
_ONE_DIMENSION, _NO_NULLS, _FROM_ONE = 1, 0, 1


@dataclass(frozen=True)
class Record:
    """A decision that is to go on record: answered under a package (its digest), asked by an actor (`user:id`)."""

    decision: Decision
    package: str
    actor: str

    def facts(self) -> dict[str, Any]:
        """Return what its entry says: commitments to inputs and answer, neither of them itself."""
        row = self.decision
        return {
            "deployment": row.deployment_id,
            "package": self.package,
            "inputs": commitments.commit("inputs", bytes(row.inputs_salt), bytes(row.inputs)),
            "answer": commitments.commit("answer", bytes(row.answer_salt), bytes(row.answer)),
        }


def insert(records: Iterable[Record]) -> None:
    """Insert decisions and enter them, in the caller's transaction; errors are those of a Django INSERT.

    Each entry goes by its decision's own identifier.
    """
    for record in records:
        row = record.decision
        ledger.append_beside(
            STATEMENT,
            values(row),
            Event.DECISION_ANSWERED,
            identity=row.id,
            subject=f"decision:{row.id}",
            actor=record.actor,
            at=row.at,
            facts=record.facts(),
            log=ledger.DECISIONS,
        )
        row._state.adding = False


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
    head = struct.pack(">5i", _ONE_DIMENSION, _NO_NULLS, _FLOAT8, len(numbers), _FROM_ONE)
    elements = [part for number in numbers for part in (8, number)]
    return head + struct.pack(">" + "id" * len(numbers), *elements)
