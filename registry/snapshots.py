"""A file of rows made ready to be kept: as Parquet, with what its columns hold. It is gone when its story ends."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa

from registry import artifacts, histograms, profiles
from registry.profiles import INTEGER, MOMENT, NUMBER, Profile
from registry.refusals import Invalid
from registry.tables import sources, writing
from registry.tables.progress import Told, quiet
from registry.tables.sources import PARQUET, Parquet
from registry.tables.text import Text

Change = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True)
class Snapshot:
    """`file`: Parquet, to be read from its beginning. `format`, `original`: of what it was made of, and its digest."""

    file: IO[bytes]
    format: str
    original: str
    rows: int
    schema: pa.Schema
    profile: Profile


@contextmanager
def taken(
    file: IO[bytes], *, demanded: Mapping[str, Sequence[pa.DataType]] | None = None, told: Told = quiet
) -> Iterator[Snapshot]:
    """Yield a file, CSV and Arrow as Parquet; Parquet as it is. Invalid says why it is none, or where it is not even.

    `demanded`: column → types of which its values in a CSV must have one.
    """
    source = sources.opened(file, told=told)
    if isinstance(source, Text):
        source.settle(demanded or {})
    if isinstance(source, Parquet):
        yield _measured(file, PARQUET, "", told)
        return
    with artifacts.scratch() as spool:
        writing.write(source.batches(), source.schema, spool)
        yield _measured(spool, source.format, digest(file), told)


@contextmanager
def changed(snapshot: Snapshot, change: Change, *, told: Told = quiet) -> Iterator[Snapshot]:
    """Yield the same rows as a function changes them, batch by batch; where it comes from is kept in mind."""
    source = Parquet(snapshot.file)
    batches = _changed(source, change, told)
    first = next(batches)
    with artifacts.scratch() as spool:
        writing.write(_all(first, batches), first.schema, spool)
        yield _measured(spool, snapshot.format, snapshot.original or digest(snapshot.file), told)


def _changed(source: Parquet, change: Change, told: Told) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in source.batches():
        yield change(batch)
        done += batch.num_rows
        told("preparing", done, source.rows)


def _all(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from others


def _measured(file: IO[bytes], format_: str, original: str, told: Told) -> Snapshot:
    parquet = Parquet(file)
    if not parquet.rows or not parquet.schema.names:
        raise Invalid("This data set has no rows. Send a file that has some.")
    profile = Profile.empty(parquet.schema, _edges(parquet))
    for batch in parquet.batches():
        with sources.readable("table"):
            profile.add([batch])
        told("measuring", profile.rows, parquet.rows)
    return Snapshot(file, format_, original, parquet.rows, parquet.schema, profile)


def _edges(parquet: Parquet) -> dict[str, np.ndarray]:
    """Return edges for the columns that have some, chosen from rows all over the file."""
    sample = pa.Table.from_batches(parquet.sample(), parquet.schema)
    kinds = {item.name: profiles.kind_of(item.type) for item in parquet.schema}
    spread = [name for name, kind in kinds.items() if kind in (NUMBER, INTEGER, MOMENT)]
    parts = {name: [profiles.numbers(part) for part in sample[name].chunks] for name in spread}
    return {name: histograms.edges(np.concatenate([np.empty(0), *found])) for name, found in parts.items()}


def digest(file: IO[bytes]) -> str:
    """Return the hexadecimal SHA-256 of a whole file."""
    file.seek(0)
    found = hashlib.sha256()
    while piece := file.read(1 << 20):
        found.update(piece)
    return found.hexdigest()
