"""Decide on every row of a file: the same decisions as by the API, a thousand at a time, each recorded once.

A row's request_id is made of the file's digest and its number, so whoever was interrupted runs the same again: what is
decided is looked up, the rest is decided. The record is all that a run leaves behind until its output is whole.
"""

import csv
import fcntl
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from registry import snapshots
from registry.models import User
from registry.refusals import Conflict, Invalid
from registry.schema import Column, Schema
from registry.tables import sources, types, writing
from registry.tables.progress import Told, quiet
from registry.tables.text import Text
from scoring import asking, decisions, serving
from scoring.models import Decision

AT_ONCE = 1000  # rows of one transaction
SHOWN = 20  # wrong rows that are named
OUTPUT = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("request_id", "decision_id")),
        pa.field("score", pa.float64()),
        *(pa.field(name, pa.string()) for name in ("band", "action", "reasons", "fallback", "error")),
    ]
)
_DEMANDED = {  # of which type the column of a CSV must be that holds a feature of a kind
    "number": [types.NUMBER],
    "integer": [types.WHOLE],
    "boolean": [types.FLAG],
    "date": [types.DAY, types.MOMENT, types.ZONED],
    "category": [types.TEXT],
}
Row = dict[str, Any]  # what `asking.read_all` reads


@dataclass(frozen=True)
class Order:
    """What is to be decided, for whom, and which columns say what beside the features.

    `run`: another word lets the same file be decided on once more. `skip_wrong`: rows that fit no schema are answered
    by what is wrong with them; without it they keep the whole file from being decided on.
    """

    model: str
    by: User
    entity: str | None = None
    request_id: str | None = None
    attributes: Sequence[str] = ()
    run: str = ""
    skip_wrong: bool = False


@dataclass
class Summary:
    """How many rows there were, were decided on without a score, and were wrong; `named`: the first wrong ones."""

    rows: int = 0
    fallbacks: int = 0
    wrong: int = 0
    named: list[str] = field(default_factory=list)


def score(source: Path, target: Path, order: Order, *, clock: Callable[[], datetime], told: Told = quiet) -> Summary:
    """Write an answer to each row of a Parquet, Arrow or CSV file, in its order, to a .parquet or .csv file.

    The target appears when it is whole. Invalid, before anything is decided on, when a row does not fit the schema of
    the version that serves. No more than some thousand rows are held in memory.
    """
    schema = serving.champion(order.model, now=clock()).schema
    with source.open("rb") as file, _whole(target) as out:
        rows = _Rows(file, order, schema, told)
        wrong = _check(rows, schema, clock(), told)
        if wrong.wrong and not order.skip_wrong:
            raise Invalid(
                f"{wrong.wrong:,} of {wrong.rows:,} rows do not fit the schema of this version, so nothing was decided "
                "on. Correct them, or say --skip-wrong to leave them out: " + "; ".join(wrong.named)
            )
        found = Summary()
        _write(_answers(rows, schema, order, clock, found, lambda done: told("scoring", done, wrong.rows)), target, out)
    return found


class _Rows:
    """The rows of a file as they are asked, a thousand at a time, as often as wanted."""

    def __init__(self, file: IO[bytes], order: Order, schema: Schema, told: Told) -> None:
        self.order, self.columns = order, schema.columns
        self.prefix = f"file:{snapshots.digest(file)}:{order.run}:"
        self.source = sources.opened(file, told=told)
        self.kept = [name for name in (order.entity, order.request_id, *order.attributes) if name]
        self._demand_columns()
        if isinstance(self.source, Text):
            demanded = {column.name: _DEMANDED[column.kind] for column in self.columns}
            self.source.settle({**demanded, **{name: [types.TEXT] for name in self.kept}})
        if isinstance(self.source, Text | sources.Arrow):
            self.source.told = quiet  # from here on rows are counted

    def __iter__(self) -> Iterator[list[Row]]:
        number = 0
        for batch in self.source.batches(self.present):
            for start in range(0, batch.num_rows, AT_ONCE):
                piece = batch.slice(start, AT_ONCE)
                yield self._asked(piece, number)
                number += piece.num_rows

    def _demand_columns(self) -> None:
        names = set(self.source.schema.names)
        demanded = [column.name for column in self.columns if not (column.nullable or column.online)]
        missing = [name for name in demanded if name not in names]
        if missing := [*missing, *(name for name in self.kept if name not in names)]:
            raise Invalid(f"The file has no column {', '.join(missing)[:500]}. Nothing was decided on.")
        wanted = [*(column.name for column in self.columns if column.name in names), *self.kept]
        self.present = list(dict.fromkeys(wanted))

    def _asked(self, piece: pa.RecordBatch, first: int) -> list[Row]:
        values = {name: piece.column(name).to_pylist() for name in self.present}
        features = [column for column in self.columns if column.name in values]
        return [self._row(values, features, place, first + place) for place in range(piece.num_rows)]

    def _row(self, values: dict[str, list[Any]], features: list[Column], place: int, number: int) -> Row:
        order = self.order
        told = {name: _text(values[name][place]) for name in self.kept}
        return {
            "features": {column.name: _plain(values[column.name][place], column.kind) for column in features},
            "request_id": told[order.request_id] if order.request_id else f"{self.prefix}{number}",
            "entity": told[order.entity] if order.entity else "",
            "attributes": {name: told[name] for name in order.attributes},
        }


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _plain(value: Any, kind: str) -> Any:
    """Return a value of a column as a client would send it."""
    if value is None or value != value:  # NaN is how some write what is missing
        return None
    if kind == "date":
        return str(value)[:10]
    if kind == "category":
        return str(value)
    return value if isinstance(value, bool | int | float | str) else float(value)


def _check(rows: _Rows, schema: Schema, now: datetime, told: Told) -> Summary:
    """Look at every row before the first is decided on."""
    found = Summary()
    total = getattr(rows.source, "rows", 0)
    for asked in rows:
        for place, row in enumerate(asked, start=found.rows + 1):
            if error := _error(schema, row, now):
                found.wrong += 1
                found.named += [f"row {place:,} {error}"] if found.wrong <= SHOWN else []
        found.rows += len(asked)
        if total:
            told("checking", found.rows, total)
    return found


def _error(schema: Schema, row: Row, now: datetime) -> str | None:
    """Say what is wrong with a row as it was sent; what an online store would bring is not asked for yet."""
    try:
        asking.read(schema, **row, now=now, store=lambda names, entity: None)
    except Invalid as refusal:
        return ", ".join(reason["detail"] for reason in refusal.reasons) or refusal.detail
    return None


def _answers(
    rows: _Rows,
    schema: Schema,
    order: Order,
    clock: Callable[[], datetime],
    found: Summary,
    done: Callable[[int], None],
) -> Iterator[pa.RecordBatch]:
    """Decide and yield the answers in the form of OUTPUT."""
    for asked in rows:
        now = clock()
        errors = [_error(schema, row, now) if order.skip_wrong else None for row in asked]
        right = [row for row, error in zip(asked, errors, strict=True) if error is None]
        made = iter(decisions.decide_many(name=order.model, rows=right, by=order.by, now=now) if right else [])
        lines = [
            {"request_id": row["request_id"], "error": error} if error else _line(next(made))
            for row, error in zip(asked, errors, strict=True)
        ]
        found.rows += len(lines)
        found.wrong += len(asked) - len(right)
        found.fallbacks += sum(1 for line in lines if line.get("fallback"))
        done(found.rows)
        yield pa.RecordBatch.from_pylist(lines, schema=OUTPUT)


def _line(decision: Decision) -> Row:
    answer = decisions.answer_of(decision)
    told = {name: answer.get(name) for name in ("score", "band", "action", "fallback")}
    reasons = json.dumps(answer["reasons"], ensure_ascii=False)
    return {**told, "request_id": decision.request_id, "decision_id": str(decision.id), "reasons": reasons}


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file that gets the target's name when it is whole; Conflict while another run writes the same."""
    if target.suffix not in (".parquet", ".csv"):
        raise Invalid(f"{target.name} must end in .parquet or .csv: it says in which form the answers are written.")
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"Another run writes {target} at this moment. Wait for it, or name another file.") from error
        file.seek(0)
        file.truncate()
        yield file
        file.flush()
        os.fsync(file.fileno())
        partial.replace(target)


def _write(batches: Iterator[pa.RecordBatch], target: Path, file: IO[bytes]) -> None:
    if target.suffix == ".parquet":
        writing.write(batches, OUTPUT, file)
        return
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    lines = csv.DictWriter(text, OUTPUT.names)  # writes a float as it is, to the bit; Arrow's does not
    lines.writeheader()
    for batch in batches:
        lines.writerows(batch.to_pylist())
    text.detach()
