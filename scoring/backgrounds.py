"""Rows of a version's reference data, against which models are explained whose own structure does not say enough."""

import math
from datetime import date
from typing import Any

import numpy as np

from registry import datasets
from registry.models import ModelVersion
from registry.refusals import Invalid
from registry.schema import Schema

MOST = 100  # rows: explainers that need them ask the model about each


def of(version: ModelVersion) -> np.ndarray:
    """Return rows spread evenly over the reference data, float64 of shape (m, n_features): always the same ones.

    Invalid when the version has no reference data, or no row of it that fits.
    """
    dataset, schema = version.reference or version.training, Schema.load(version.schema)
    if dataset is None:
        raise Invalid(f"{version} came without reference data, and its model cannot be explained without.")
    table = datasets.read(dataset).select(schema.names)
    chosen = np.unique(np.linspace(0, max(0, table.num_rows - 1), MOST).astype(int))
    rows = [_vector(schema, row) for row in table.take(chosen).to_pylist()]
    found = [row for row in rows if row is not None]
    if not found:
        raise Invalid(f"No row of the reference data of {version} fits its schema, so its model cannot be explained.")
    return np.array(found)


def _vector(schema: Schema, row: dict[str, Any]) -> np.ndarray | None:
    try:
        return schema.vector({name: _plain(value) for name, value in row.items()})
    except Invalid:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return value.isoformat()[:10] if isinstance(value, date) else value
