"""Leave entries of decisions without a place. `python -m tests.benchmarks.backlog COUNT` in an installation.

They are what scoring enters, of eight writers; only they are copied in rather than inserted one by one.
"""

import sys

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from registry import ledger  # noqa: E402
from registry.ids import uuid7  # noqa: E402
from scoring.events import Event  # noqa: E402

WRITERS = 8
_COPY = f"COPY registry_ledgerentry ({', '.join(ledger.COLUMNS)}) FROM STDIN"
_FACTS = {"deployment": 17, "package": "5f" * 32, "inputs": "a3" * 32, "answer": "7c" * 32}


def main(count: int) -> None:
    names = [f"backlog-{timezone.now():%H%M%S}-{number}" for number in range(WRITERS)]
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for place in range(count):
            writer = (names[place % WRITERS], place // WRITERS + 1)
            decision, now = uuid7(), timezone.now()
            said = (f"decision:{decision}", "user:7", now, _FACTS, writer)
            copy.write_row(ledger._row(decision, ledger.DECISIONS, Event.DECISION_ANSWERED, *said))


if __name__ == "__main__":
    main(int(sys.argv[1]))
