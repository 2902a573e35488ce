"""Rows for the schema of a version, out of the columns and matrices in which other protocols send them."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from registry.refusals import Invalid
from registry.schema import Schema
from scoring.protocols.tensors import Tensor

MOST = 1000  # rows of one request
Row = dict[str, Any]


def of_tensors(tensors: Sequence[Tensor], schema: Schema) -> list[Row]:
    """Return the rows of one tensor [rows, features] in the schema's order, or of one tensor [rows] or [rows, 1] each.

    Invalid where they are neither; whether each value fits its feature is judged when the row is decided on.
    """
    if not tensors:
        raise Invalid("There are no inputs. " + _wanted(schema))
    if len(tensors) == 1 and _is_matrix(tensors[0], schema):
        return _of_matrix(tensors[0], schema)
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        raise Invalid("An input comes twice. " + _wanted(schema))
    heights = {tensor.shape[0] for tensor in tensors}
    if len(heights) != 1 or any(math.prod(tensor.shape[1:]) != 1 for tensor in tensors):
        raise Invalid(
            "Each input has the shape [rows] or [rows, 1], with as many rows as the others. " + _wanted(schema)
        )
    return of_lists(names, zip(*(tensor.values for tensor in tensors), strict=True), schema)


def _is_matrix(tensor: Tensor, schema: Schema) -> bool:
    return tensor.name not in schema.names or math.prod(tensor.shape[1:]) > 1


def _of_matrix(tensor: Tensor, schema: Schema) -> list[Row]:
    wide = len(schema.columns)
    if tensor.shape[1:] != (wide,):
        raise Invalid(f"Input {tensor.name!r} has shape {list(tensor.shape)}. {_wanted(schema)}")
    values = tensor.values
    pieces = (values[start : start + wide] for start in range(0, len(values), wide))
    return of_lists(schema.names, pieces, schema)


def _wanted(schema: Schema) -> str:
    return f"Send one tensor of shape [rows, {len(schema.columns)}], or one tensor of shape [rows] for each feature."


def of_lists(names: Sequence[str], values: Iterable[Sequence[Any]], schema: Schema) -> list[Row]:
    """Return a row for each list of values under these names. NaN is missing; 0 and 1 are booleans where one is due."""
    flags = {column.name for column in schema.columns if column.kind == "boolean"}
    found = [
        {name: None if value != value else value for name, value in zip(names, row, strict=True)}  # noqa: PLR0124 - NaN
        for row in values
    ]
    for row, name in itertools.product(found, flags.intersection(names)):
        row[name] = bool(row[name]) if row[name] in (0, 1) else row[name]
    return counted(found)


def counted(rows: list[Row]) -> list[Row]:
    """Return rows as they are, unless there is none or there are more than MOST."""
    if not 0 < len(rows) <= MOST:
        raise Invalid(f"A request has 1 to {MOST} rows, not {len(rows)}. Send several requests instead.")
    return rows
