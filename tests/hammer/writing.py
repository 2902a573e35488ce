"""One writer: transactions with delays and rollbacks, for ever. `python -m tests.hammer.writing FILE SEED`.

FILE gets one line a transaction, after it: `+` and the entries that are committed, `-` and those rolled back, `?` and
those of which nobody can tell, because the session was lost. Whoever kills this writer loses at most its last line.
"""

import random
import sys
import time

import django
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

django.setup()

from registry import ledger  # noqa: E402
from registry.ledger import Event as Registered  # noqa: E402
from scoring.events import Event  # noqa: E402

REFUSED = 0.1  # share of transactions rolled back, and of savepoints in the others


class Refused(Exception):
    """The business says no."""


def main(path: str, seed: int) -> None:
    draw = random.Random(seed)
    with open(path, "ab", buffering=0) as told:
        while True:
            written: list[str] = []
            undone: list[str] = []
            try:
                _transact(draw, written, undone)
                sign = "+"
            except Refused:
                sign = "-"
            except DatabaseError:
                connection.close()
                sign = "?"
            lines = [(sign, written), ("-" if sign == "+" else sign, undone)]
            told.write("".join(f"{mark} {' '.join(names)}\n" for mark, names in lines if names).encode())
            time.sleep(draw.expovariate(30))


def _transact(draw: random.Random, written: list[str], undone: list[str]) -> None:
    with transaction.atomic():
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            written.append(_enter(draw))
            if draw.random() < 0.3:
                time.sleep(draw.expovariate(20))
            if draw.random() < REFUSED:
                _undo(draw, undone)
        if draw.random() < REFUSED:
            raise Refused


def _undo(draw: random.Random, undone: list[str]) -> None:
    """Enter something in a savepoint that is rolled back."""
    try:
        with transaction.atomic():
            undone.append(_enter(draw))
            raise Refused
    except Refused:
        pass


def _enter(draw: random.Random) -> str:
    log = ledger.DECISIONS if draw.random() < 0.9 else ledger.GOVERNANCE
    event = Event.OUTCOME_RECORDED if log == ledger.DECISIONS else Registered.MODEL_TAGGED
    facts = {"pad": "x" * draw.randrange(400)}
    made = ledger.append(event, subject="test:1", actor="user:1", at=timezone.now(), facts=facts, log=log)
    return str(made.uuid)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
