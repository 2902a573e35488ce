"""Register a snapshot of data as Parquet by its digest; read it back."""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db import transaction

from registry import artifacts, canonical, ledger
from registry.ledger import Event
from registry.models import Dataset, User
from registry.refusals import Conflict, Invalid, Unknown
from registry.schema import Column

ROLES = ("feature", "label", "score", "time", "id", "entity", "protected", "other")


def parquet(table: pa.Table) -> bytes:
    """Return the Parquet bytes of a table."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def register(*, data: bytes, name: str, columns: Sequence[dict[str, Any]], by: User, now: datetime) -> Dataset:
    """Keep a Parquet file with the roles of its columns; the same bytes again give the same data set."""
    table = _open(data)
    columns = [_column(item, table) for item in columns]
    digest = artifacts.put(data)
    with transaction.atomic():
        dataset, made = Dataset.objects.get_or_create(
            digest=digest,
            defaults={
                "name": name,
                "rows": table.metadata.num_rows,
                "columns": columns,
                "registered_by": by,
                "registered_at": now,
            },
        )
        if dataset.columns != columns:
            raise Conflict(
                f"These bytes are registered as {digest[:12]}… with other column roles, which never change. "
                "Write the file again with the columns it should have; its digest will differ."
            )
        if made:
            facts = {"dataset": digest, "rows": dataset.rows, "record": canonical.digest(record(dataset))}
            ledger.append(Event.DATASET_REGISTERED, subject=f"dataset:{digest}", actor=by.actor, at=now, facts=facts)
    return dataset


def record(dataset: Dataset) -> dict[str, Any]:
    """Return what is entered by its digest: the bytes, and what their columns are, the protected ones among them."""
    return {
        "dataset": dataset.digest,
        "name": dataset.name,
        "rows": dataset.rows,
        "columns": dataset.columns,
    }


def _open(data: bytes) -> pq.ParquetFile:
    try:
        table = pq.ParquetFile(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"This is not a Parquet file: {error}. Write it with pandas' to_parquet or pyarrow.") from error
    if table.metadata.num_rows == 0:
        raise Invalid("This data set has no rows.")
    return table


def _column(item: dict[str, Any], table: pq.ParquetFile) -> dict[str, Any]:
    name, role = item.get("name"), item.get("role")
    if role not in ROLES or name not in table.schema_arrow.names:
        known = ", ".join(table.schema_arrow.names[:20])
        raise Invalid(f"Column {name!r} with role {role!r}: name a column of the file ({known}) and one of {ROLES}.")
    kind = Column(str(name), item.get("kind", "number"), bool(item.get("nullable")), tuple(item.get("categories", ())))
    return {
        "name": kind.name,
        "role": role,
        "kind": kind.kind,
        "nullable": kind.nullable,
        "categories": list(kind.categories),
    }


def read(dataset: Dataset) -> pa.Table:
    """Return the rows of a data set, its bytes verified."""
    return pq.read_table(io.BytesIO(artifacts.get(dataset.digest)))


def by_digest(digest: str) -> Dataset:
    """Return a registered data set."""
    dataset = Dataset.objects.filter(digest=digest).first()
    if dataset is None:
        raise Unknown(f"No data set {digest[:12]}… is registered. Send it to /api/v1/datasets first.")
    return dataset
