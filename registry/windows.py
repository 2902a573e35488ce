"""The time window of a data set: its first and last moment by the column that plays the role `time`."""

import functools
import io
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.parquet as pq

from registry import artifacts
from registry.models import Dataset
from registry.refusals import Refusal

MOST_ROWS = 1_000_000  # of larger files nothing is read for a page


def of(dataset: Dataset) -> tuple[datetime, datetime] | None:
    """Return first and last moment (UTC), None where no single time column tells or the file is large."""
    times = dataset.named("time")
    return _read(dataset.digest, times[0]) if len(times) == 1 and dataset.rows <= MOST_ROWS else None


def told(dataset: Dataset) -> str:
    """Return the window in words; nothing where it is not known."""
    found = of(dataset)
    return f"{found[0]:%Y-%m-%d %H:%M} to {found[1]:%Y-%m-%d %H:%M}" if found else ""


@functools.lru_cache(maxsize=512)  # bytes of a digest never change
def _read(digest: str, column: str) -> tuple[datetime, datetime] | None:
    try:
        file = pq.ParquetFile(io.BytesIO(artifacts.get(digest)))
    except Refusal:
        return None
    metadata = file.metadata
    places = [i for i in range(metadata.num_columns) if metadata.schema.column(i).path == column]
    groups = [metadata.row_group(group).column(place) for group in range(metadata.num_row_groups) for place in places]
    told = [found.statistics for found in groups if found.statistics and found.statistics.has_min_max]
    ends = [_moment(value) for found in told for value in (found.min, found.max)]
    known = [end for end in ends if end is not None]
    return (min(known), max(known)) if known and len(known) == len(ends) and len(told) == len(groups) else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None
