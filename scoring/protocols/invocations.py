"""A request to MLflow's /invocations, and its answer: JSON or CSV in, rows, predictions out.

Source: the scoring server of mlflow 3.17 (mlflow/pyfunc/scoring_server/__init__.py).
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from registry.refusals import Invalid
from registry.schema import Schema
from scoring.protocols import bodies, rows
from scoring.protocols.bodies import Malformed
from scoring.protocols.rows import Row

_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_BESIDE = {"params", "client_request_id"}
_PARAMS = {"request_id", "entity"}


@dataclass(frozen=True)
class Asked:
    """What a request says. `entity` is whom its only row is about."""

    rows: list[Row]
    request_id: str | None = None
    entity: str | None = None


def from_json(data: bytes, schema: Schema) -> Asked:
    """Return what a JSON body asks; Malformed where it cannot be read.

    The request_id is `params.request_id`, or `client_request_id` as Databricks names it.
    """
    body = bodies.parsed(data)
    forms = [form for form in _FORMS if form in body]
    if len(forms) != 1 or set(body) - _BESIDE - set(forms):
        raise Malformed(f"Send an object with exactly one of {', '.join(_FORMS)}; `params` may stand beside it.")
    params = body.get("params") or {}
    if not isinstance(params, dict) or set(params) - _PARAMS:
        raise Malformed(f"`params` is an object of {' and '.join(sorted(_PARAMS))}: a model here takes no others.")
    found = _READERS[forms[0]](body[forms[0]], schema)
    named = params.get("request_id", body.get("client_request_id"))
    return Asked(rows.counted(found), named, params.get("entity"))


def _split(said: Any, schema: Schema) -> list[Row]:
    if not isinstance(said, dict) or "data" not in said or set(said) - {"columns", "index", "data"}:
        raise Malformed("`dataframe_split` is an object of columns and data; an index may stand beside them.")
    names = said.get("columns", schema.names)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise Malformed("`columns` is a list of texts, each once.")
    return _lists(names, said["data"], schema)


def _lists(names: Sequence[str], said: Any, schema: Schema) -> list[Row]:
    if not isinstance(said, list) or not all(isinstance(row, list) and len(row) == len(names) for row in said):
        raise Malformed(f"The rows are a list of lists of {len(names)} values each.")
    return rows.of_lists(names, said, schema)


def _records(said: Any, schema: Schema) -> list[Row]:
    if not isinstance(said, list) or not all(isinstance(row, dict) for row in said):
        raise Malformed("The records are a list of objects.")
    return [row for record in said for row in rows.of_lists(list(record), [list(record.values())], schema)]


def _tensors(said: Any, schema: Schema) -> list[Row]:
    """Return the rows of `inputs` or `instances`: records, lists in the schema's order, or lists by column."""
    if isinstance(said, dict):
        values = list(said.values())
        if not values or not all(isinstance(column, list) and len(column) == len(values[0]) for column in values):
            raise Malformed("Inputs by name are lists of the same length, one for each feature.")
        return _lists(list(said), [list(row) for row in zip(*values, strict=True)], schema)
    if isinstance(said, list) and said and isinstance(said[0], dict):
        return _records(said, schema)
    return _lists(schema.names, said, schema)


_READERS = {"dataframe_split": _split, "dataframe_records": _records, "inputs": _tensors, "instances": _tensors}


def from_csv(data: bytes, schema: Schema) -> Asked:
    """Return what a CSV body asks: the features' names, then a line for each row, with nothing for a missing value."""
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed(f"The body is no CSV in UTF-8: {error}.") from error
    names, *found = [line for line in lines if line] or [[]]
    if not names or len(set(names)) != len(names) or any(len(line) != len(names) for line in found):
        raise Malformed("The first line names the columns, each once, and every other line has as many values.")
    readers = [_CELLS.get(_kinds(schema).get(name, "category"), str) for name in names]
    return Asked(rows.of_lists(names, [_cells(readers, line) for line in found], schema))


def _kinds(schema: Schema) -> dict[str, str]:
    return {column.name: column.kind for column in schema.columns}


def _cells(readers: Sequence[Callable[[str], Any]], line: Sequence[str]) -> list[Any]:
    """Return the values of a line; what cannot be read stays a text, which its feature then refuses by name."""
    return [_cell(reader, text) for reader, text in zip(readers, line, strict=True)]


def _cell(reader: Callable[[str], Any], text: str) -> Any:
    if text == "":
        return None
    try:
        return reader(text)
    except ValueError:
        return text


def _flag(text: str) -> bool:
    words = {"true": True, "false": False, "1": True, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _number(text: str) -> float:
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return float(text)


def _whole(text: str) -> Any:
    number = _number(text)
    return int(number) if number.is_integer() else number


_CELLS: dict[str, Callable[[str], Any]] = {"number": _number, "integer": _whole, "boolean": _flag}


def entities(asked: Asked) -> list[str]:
    """Return whom each row is about; Invalid where one entity is named for several rows."""
    if asked.entity is None:
        return []
    if len(asked.rows) != 1:
        raise Invalid("`params.entity` says whom one row is about: send a request for each.")
    return [asked.entity]


def written(decided: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer: `predictions` as MLflow's clients read them, null where a fallback answers; `decisions`."""
    return {"predictions": [row["score"] for row in decided], "decisions": list(decided)}
