"""Put a decision on record together with its entry: one statement, one journey to the database.

The values go in PostgreSQL's binary form, so that a float is stored as it is and nothing is parsed.
"""

import struct
from collections.abc import Sequence
from datetime import datetime

from registry import ledger
from registry.models import User
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


def record(decision: Decision, *, package: str, by: User, now: datetime) -> None:
    """Insert a decision answered under a package (its digest) and enter it, in the caller's transaction.

    The entry commits to inputs and answer and has the decision's own identifier. Errors are those of a Django INSERT.
    """
    facts = {
        "deployment": decision.deployment_id,
        "package": package,
        "inputs": commitments.commit("inputs", bytes(decision.inputs_salt), bytes(decision.inputs)),
        "answer": commitments.commit("answer", bytes(decision.answer_salt), bytes(decision.answer)),
    }
    ledger.append_beside(
        STATEMENT,
        values(decision),
        Event.DECISION_ANSWERED,
        identity=decision.id,
        subject=f"decision:{decision.id}",
        actor=by.actor,
        at=now,
        facts=facts,
        log=ledger.DECISIONS,
    )
    decision._state.adding = False


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
