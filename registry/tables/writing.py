"""Rows written as Parquet, one row group at a time."""

from collections.abc import Iterable, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

GROUP = 131_072  # rows of a group: what is held in memory, here and by those who read it


def write(batches: Iterable[pa.RecordBatch], schema: pa.Schema, file: IO[bytes]) -> None:
    """Write rows; the same rows, however they are cut into batches, give the same bytes."""
    with pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd") as writer:
        for table in _groups(batches, schema):
            writer.write_table(table, row_group_size=GROUP)
    file.flush()


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= GROUP:
            table = pa.Table.from_batches(waiting, schema)
            yield table.slice(0, GROUP)
            waiting = table.slice(GROUP).to_batches()
            rows -= GROUP
    if rows:
        yield pa.Table.from_batches(waiting, schema)
