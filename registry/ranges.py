"""What values a feature had in the reference data: learned when a version is pinned, from the file's own statistics.

Categories are not learned: their order is the model's encoding, which only the model or its author knows.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from registry import artifacts
from registry.models import Dataset
from registry.schema import Schema

_RANGED = ("number", "integer", "date")


def learned(schema: Sequence[dict[str, Any]], reference: Dataset | None) -> list[dict[str, Any]]:
    """Return a schema with the lowest and highest value of each feature in the reference data, where it has them."""
    if reference is None or not schema:
        return list(schema)
    with TemporaryDirectory(prefix="reference-") as folder:
        path = Path(folder, "data.parquet")
        artifacts.copy(reference.digest, path)
        found = _found(pq.ParquetFile(path).metadata)
    ranged = [
        {**column, **found[column["name"]]} if column["kind"] in _RANGED and column["name"] in found else column
        for column in schema
    ]
    return Schema.load(ranged).dump()


def _found(metadata: pq.FileMetaData) -> dict[str, dict[str, Any]]:
    """Return low and high of each column that says both in every row group."""
    found: dict[str, dict[str, Any]] = {}
    for place in range(metadata.num_columns):
        parts = [metadata.row_group(group).column(place) for group in range(metadata.num_row_groups)]
        said = [part.statistics for part in parts if part.num_values]
        values = [(_plain(s.min), _plain(s.max)) for s in said if s is not None and s.has_min_max]
        if values and all(low is not None and high is not None for low, high in values):
            lows, highs = zip(*values, strict=True)
            found[parts[0].path_in_schema] = {"low": min(lows), "high": max(highs)}
    return found


def _plain(value: Any) -> float | str | None:
    """Return a number or the text of a date; None for anything else, which has no range."""
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value == value else None
