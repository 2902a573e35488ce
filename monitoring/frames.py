"""Columns of a data set as the vectors a model sees: the batch twin of `Schema.vector`, column by column."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from registry.refusals import Invalid
from registry.schema import Column, Schema

_LARGEST_EXACT = 2**53


def encode(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return float64 of shape (n_rows, n_features); Invalid when a feature's column is missing."""
    missing = [name for name in schema.names if name not in frame]
    if missing:
        raise Invalid(f"The data set lacks the features {', '.join(missing[:10])} of this version.")
    return np.column_stack([_encode(frame[column.name], column) for column in schema.columns])


def scorable(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return which rows online scoring would take, bool of shape (n_rows,); `Schema.vector` refuses the others."""
    encoded = encode(frame, schema)
    columns = [_fits(frame[column.name], row, column) for column, row in zip(schema.columns, encoded.T, strict=True)]
    return np.logical_and.reduce(columns)


def _fits(values: pd.Series, encoded: np.ndarray, column: Column) -> np.ndarray:
    missing = values.isna().to_numpy()
    known = np.isfinite(encoded)
    if column.kind == "integer":
        known &= (np.trunc(encoded) == encoded) & (np.abs(encoded) <= _LARGEST_EXACT)
    if column.kind == "boolean":
        known &= np.isin(encoded, (0.0, 1.0))
    return np.where(missing, column.nullable, known)


def _encode(values: pd.Series, column: Column) -> np.ndarray:
    if column.kind == "category":
        codes = pd.Categorical(values.astype("string"), categories=list(column.categories)).codes
        return np.where(codes < 0, np.nan, codes.astype(np.float64))
    if column.kind == "date":
        days = pd.to_datetime(values, errors="coerce").to_numpy("datetime64[D]")
        return np.where(np.isnat(days), np.nan, days.astype("int64").astype(np.float64))
    return values.astype("Float64").to_numpy(np.float64, na_value=np.nan)


def plain(row: Mapping[str, object], schema: Schema) -> dict[str, object]:
    """Return one row of a frame as the JSON object a client would send."""
    return {column.name: _plain(row[column.name], column) for column in schema.columns}


def _plain(value: object, column: Column) -> object:
    if pd.isna(value):  # type: ignore[call-overload]
        return None
    if column.kind == "boolean":
        return bool(value)
    if column.kind == "integer":
        return int(value)  # type: ignore[call-overload]
    if column.kind == "number":
        return float(value)  # type: ignore[arg-type]
    return str(value)[:10] if column.kind == "date" else str(value)


def groups(frame: pd.DataFrame, names: list[str]) -> dict[str, np.ndarray]:
    """Return protected attributes as text, the unknown as a group of its own."""
    return {name: frame[name].astype("string").fillna("unknown").to_numpy(str) for name in names}
