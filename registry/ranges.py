"""What values a feature had in the reference data, from the statistics that were kept when that was registered.

Categories are not learned: their order is the model's encoding, which only the model or its author knows.
"""

from collections.abc import Sequence
from typing import Any

from registry.models import Dataset, DatasetStatistics
from registry.schema import Schema

_RANGED = ("number", "integer", "date")


def learned(schema: Sequence[dict[str, Any]], reference: Dataset | None) -> list[dict[str, Any]]:
    """Return a schema with the lowest and highest value of each feature in the reference data, where it has them."""
    rows = DatasetStatistics.objects.filter(dataset=reference).order_by("-computed_at")
    measured = rows.first() if reference and schema else None
    if measured is None:
        return list(schema)
    found = {column["name"]: column for column in measured.content["columns"] if column.get("min") is not None}
    ranged = [
        {**column, **_ends(column["kind"], found[column["name"]])}
        if column["kind"] in _RANGED and column["name"] in found
        else column
        for column in schema
    ]
    return Schema.load(ranged).dump()


def _ends(kind: str, found: dict[str, Any]) -> dict[str, Any]:
    low, high = found["min"], found["max"]
    if high is None or isinstance(low, str) != (kind == "date"):  # infinite; or the file's type is not the model's
        return {}
    return {"low": low[:10], "high": high[:10]} if kind == "date" else {"low": low, "high": high}
