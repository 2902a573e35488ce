"""What a scoring process spends on the ledger for one decision, and the SQL that it sends.

`python -m tests.benchmarks.recording FOLDER` in the environment of an installation: makes a champion there, prints
figures as JSON, and leaves pgbench scripts in FOLDER: `without.sql` records a decision, `with.sql` its entry too,
`keyed.sql` also its request id; `flat.sql` does what `keyed.sql` does on a table that is not partitioned (FLAT).
"""

import json
import re
import statistics
import sys
import time
from pathlib import Path

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from psycopg import ClientCursor  # noqa: E402

from registry import ledger, prepared  # noqa: E402
from scoring import recording, serving  # noqa: E402
from scoring.models import Decision  # noqa: E402
from tests import builders  # noqa: E402
from tests.benchmarks.inserting import FLAT  # noqa: E402

ROUNDS, DECISIONS = 21, 200

_ENTERING, _DECIDING = recording.STATEMENT.sql.removeprefix("WITH entered AS (").split(") INSERT INTO scoring")
_ALONE = re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) - len(ledger.COLUMNS)}", f"INSERT INTO scoring{_DECIDING}")
ALONE = prepared.Statement("alone", _ALONE, binary=recording.STATEMENT.formats[len(ledger.COLUMNS) :])
# What differs between two decisions, and the entry's bytes, are made anew each time by the database, which costs more
# than taking them from a client.
_NEW = (
    "WITH new AS MATERIALIZED (SELECT (left(countersign_first_id(clock_timestamp() AT TIME ZONE 'UTC')::text, 14)"
    " || substr(gen_random_uuid()::text, 15))::uuid AS id, clock_timestamp() AS at)"
)
_AT = """to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:' || 'MI:' || 'SS.US') || '+00:' || '00'"""


def main(folder: Path) -> None:
    people = builders.everybody(builders.now())
    builders.a_champion(people)
    sample = builders.a_decision(people)
    served = serving.champion("fraud", now=builders.now())
    write_scripts(folder, sample)
    print(json.dumps(cpu(sample, served, people.engine)))


def cpu(sample: Decision, served: serving.Serving, by) -> dict:
    """Return the median CPU (µs of this thread) of recording a decision with and without its entry, in turns."""
    made: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(ROUNDS):
        for entered in (turn % 2 == 0, turn % 2 == 1):
            rows = [fresh(sample) for _ in range(DECISIONS)]
            begun = time.thread_time()
            for row in rows:
                record(row, served, by, entered)
            made[entered].append((time.thread_time() - begun) / DECISIONS * 1e6)
    with_, without = statistics.median(made[True]), statistics.median(made[False])
    added = statistics.median(a - b for a, b in zip(made[True], made[False], strict=True))
    return {"with_us": round(with_, 1), "without_us": round(without, 1), "added_us": round(added, 1)}


def record(row: Decision, served: serving.Serving, by, entered: bool) -> None:
    """Record a decision as scoring does, or by the same statement without the ledger."""
    with transaction.atomic():
        if entered:
            recording.insert([recording.Record(row, served.package.digest, by.actor)])
        else:
            ALONE.run(*recording.values(row))


def fresh(sample: Decision) -> Decision:
    """Return another decision with the same contents."""
    fields = [f.attname for f in Decision._meta.concrete_fields if f.attname not in ("id", "xid", "request_id")]
    return Decision(**{name: getattr(sample, name) for name in fields})


def write_scripts(folder: Path, sample: Decision) -> None:
    """Write the statements of one decision as pgbench scripts: what scoring sends, with values in it."""
    row = fresh(sample)
    given = {name: getattr(row, name) for name in recording.COLUMNS} | {"id": _Sql("id"), "at": _Sql("at")}
    entry = ledger.of([sample.id]).get()
    ours = ["id", *(_literal(value) for value in (entry.log, entry.event)), "'decision:' || id", _literal(entry.actor)]
    ours += ["at", f"convert_to({_bytes(json.loads(bytes(entry.bytes)))}, 'UTF8')"]
    keyed = given | {"request_id": _Sql("'r' || id")}
    flat = recording.STATEMENT.sql.replace(recording.KEY, "").replace("INTO scoring_decision", f"INTO {FLAT}")
    for name, sql, before, values in (
        ("with", recording.STATEMENT.sql, ours, given),
        ("without", ALONE.sql, [], given),
        ("keyed", recording.STATEMENT.sql, ours, keyed),
        ("flat", flat, ours, keyed),
    ):
        literals = [*before, *(_literal(value) for value in values.values())]
        text = re.sub(r"VALUES \(([$0-9, ]+)\)", r"SELECT \1 FROM new", sql)
        text = re.sub(r" WHERE (\$\d+ IS NOT NULL)", r" FROM new WHERE \1", text)
        text = re.sub(r"\$(\d+)", lambda found, literals=literals: literals[int(found[1]) - 1], text)
        text = f"{_NEW}, {text.removeprefix('WITH ')}" if before else f"{_NEW} {text}"
        (folder / f"{name}.sql").write_text(f"\\set n :n + 1\nBEGIN;\n{text};\nCOMMIT;\n")


def _bytes(said: dict) -> str:
    """Return an SQL expression for the bytes of another entry of this kind, by this client of pgbench."""
    new = {"id": "id", "at": _AT, "subject": "'decision:' || id", "writer": ":client_id || 'a' || :run", "n": ":n"}
    said |= {name: f"<{name}>" for name in new} | {"writer": ["<writer>", "<n>"]}
    del said["n"]
    text = json.dumps(said, sort_keys=True, separators=(",", ":")).replace('"<n>"', "<n>")
    pieces = re.split(r"<(\w+)>", re.sub(r":(?=\w)", ":' || '", text))  # what follows a colon is a variable to pgbench
    return " || ".join(new[piece] if place % 2 else f"'{piece}'" for place, piece in enumerate(pieces))


class _Sql(str):
    """An expression, to be taken as it is."""


def _literal(value: object) -> str:
    """Return a value of a column as SQL."""
    if isinstance(value, _Sql):
        return str(value)
    return ClientCursor(connection.connection).mogrify("%s", [value])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
