"""Register a snapshot of data as Parquet by its digest; read it back, whole, in batches, or its first rows."""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db import transaction

from registry import artifacts, canonical, column_roles, ledger, profiles, snapshots
from registry.ledger import Event
from registry.models import Dataset, DatasetStatistics, User
from registry.profiles import MOMENT
from registry.refusals import Conflict, Invalid, Unknown
from registry.snapshots import Snapshot
from registry.tables.progress import Told, quiet
from registry.tables.sources import Parquet

SHOWN = 20  # rows of a preview
_LONGEST = 100  # characters of a value in it


def parquet(table: pa.Table) -> bytes:
    """Return the Parquet bytes of a table."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def register(
    *,
    data: bytes | IO[bytes],
    name: str,
    columns: Sequence[dict[str, Any]],
    by: User,
    now: datetime,
    told: Told = quiet,
) -> Dataset:
    """Keep a file with the roles of its columns: Parquet as it is, CSV and Arrow as the Parquet made of them.

    A file is read in pieces, never whole. The same bytes again give the same data set.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    with snapshots.taken(file, demanded=column_roles.demanded(columns), told=told) as snapshot:
        return enter(snapshot=snapshot, name=name, columns=columns, by=by, now=now)


def enter(*, snapshot: Snapshot, name: str, columns: Sequence[dict[str, Any]], by: User, now: datetime) -> Dataset:
    """Keep a snapshot with the roles of its columns and what was measured of them; one entry tells of both."""
    declared = _declared(columns, snapshot)
    content = _statistics(snapshot, declared)
    digest = artifacts.keep(snapshot.file)
    with transaction.atomic():
        dataset, made = Dataset.objects.get_or_create(
            digest=digest,
            defaults={
                "name": name,
                "rows": snapshot.rows,
                "columns": declared,
                "format": snapshot.format,
                "original": snapshot.original,
                "registered_by": by,
                "registered_at": now,
            },
        )
        if dataset.columns != declared:
            raise Conflict(
                f"These bytes are registered as {digest[:12]}… with other column roles, which never change. "
                "Write the file again with the columns it should have; its digest will differ."
            )
        if made:
            measured = canonical.digest(content)
            DatasetStatistics.objects.create(
                dataset=dataset, code=profiles.VERSION, digest=measured, content=content, computed_at=now
            )
            facts = {
                "dataset": digest,
                "rows": dataset.rows,
                "record": canonical.digest(record(dataset)),
                "statistics": measured,
            }
            ledger.append(Event.DATASET_REGISTERED, subject=f"dataset:{digest}", actor=by.actor, at=now, facts=facts)
    return dataset


def record(dataset: Dataset) -> dict[str, Any]:
    """Return what is entered by its digest: the bytes, and what their columns are, the protected ones among them."""
    made_of = {"format": dataset.format, "original": dataset.original} if dataset.original else {}
    return {
        "dataset": dataset.digest,
        "name": dataset.name,
        "rows": dataset.rows,
        "columns": dataset.columns,
        **made_of,
    }


def _declared(columns: Sequence[dict[str, Any]], snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the columns as they are kept; Invalid for a label or time that the values contradict."""
    names = snapshot.schema.names
    declared = [column_roles.declared(item, names) for item in columns]
    said = [column["name"] for column in declared]
    twice = sorted({name for name in said if said.count(name) > 1})
    if twice:
        raise Invalid(f"{', '.join(twice)[:200]}: said twice what it is. A column has one role; name it once.")
    for column in declared:
        measured = snapshot.profile.columns[column["name"]]
        if column["role"] == "label":
            _demand_label(measured)
        if column["role"] == "time" and measured.kind != MOMENT:
            raise Invalid(
                f"The time column {measured.name} holds {measured.type} where it must hold dates or moments. Write it "
                "as such (in CSV: 2026-01-31T09:30:00), or give it another role."
            )
    return declared


def _demand_label(measured: profiles.Column) -> None:
    if measured.missing:
        raise Invalid(
            f"{measured.missing:,} rows have no value in the label {measured.name}. Leave them out, or give the column "
            "another role."
        )
    if not column_roles.is_binary(measured):
        raise Invalid(
            f"The label {measured.name} holds values that are neither 0 nor 1. Write 1 where the adverse event "
            "happened and 0 elsewhere (import_dataset does, with --label and --adverse)."
        )


def _statistics(snapshot: Snapshot, declared: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is kept of a profile: of columns that name somebody only counts."""
    profile = snapshot.profile
    roles = {column["name"]: column["role"] for column in declared}
    hidden = column_roles.naming(declared, profile.columns)
    found = [column.counted() if name in hidden else column.dump() for name, column in profile.columns.items()]
    times = [profile.columns[name] for name, role in roles.items() if role == "time"]
    window = {"from": profiles.iso(times[0].least), "to": profiles.iso(times[0].most)} if len(times) == 1 else None
    columns = [{**column, "role": roles.get(column["name"], "")} for column in found]
    return {"rows": profile.rows, "window": window, "columns": columns}


def read(dataset: Dataset) -> pa.Table:
    """Return the rows of a data set, its bytes verified."""
    return pq.read_table(io.BytesIO(artifacts.get(dataset.digest)))


def batches(dataset: Dataset, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a data set in batches, its bytes verified before the first; None: of all columns."""
    with artifacts.opened(dataset.digest) as file:
        yield from Parquet(file).batches(columns)


def preview(dataset: Dataset, *, unmasked: bool, rows: int = SHOWN) -> dict[str, Any]:
    """Return the first rows as JSON; None stands for each value that is missing or, in `masked` columns, not shown.

    `unmasked`: whoever asks may see what restricted columns hold. Otherwise these are not even read.
    """
    with artifacts.opened(dataset.digest) as file:
        table = Parquet(file)
        names = table.schema.names
        hidden = set() if unmasked else column_roles.masked(dataset.columns, names)
        batch = next(table.batches([name for name in names if name not in hidden]))[:rows]
    first = {name: _values(values) for name, values in zip(batch.schema.names, batch.columns, strict=True)}
    count = min(rows, dataset.rows)
    lines = [[_shown(first[name][place]) if name in first else None for name in names] for place in range(count)]
    return {"columns": names, "masked": [name for name in names if name in hidden], "rows": lines}


def _values(values: pa.Array) -> list[Any]:
    """Return values as Python's; moments as text, since not every one is a date that Python knows."""
    if profiles.kind_of(values.type) != MOMENT:
        return values.to_pylist()
    length = len("2026-01-31" if pa.types.is_date(values.type) else "2026-01-31T09:30:00")
    found = profiles.numbers(values)
    return [(profiles.iso(seconds) or "")[:length] if seconds == seconds else None for seconds in found.tolist()]


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    return str(value).replace("\0", "")[:_LONGEST]


def statistics(dataset: Dataset) -> DatasetStatistics:
    """Return what was measured when a data set was registered; Unknown for one older than such measurements."""
    found = DatasetStatistics.objects.filter(dataset=dataset).order_by("-computed_at").first()
    if found is None:
        raise Unknown(
            f"Data set {dataset.digest[:12]}… was registered before statistics were kept. Its rows are as they were: "
            "read them, or register a file of them anew."
        )
    return found


def by_digest(digest: str) -> Dataset:
    """Return a registered data set."""
    dataset = Dataset.objects.filter(digest=digest).first()
    if dataset is None:
        raise Unknown(f"No data set {digest[:12]}… is registered. Send it to /api/v1/datasets first.")
    return dataset
