"""Read what MLflow wrote beside a model (the MLmodel file): flavour, schema, where it came from. No MLflow needed."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from registry.refusals import Invalid
from registry.schema import Column, Schema

_KINDS = {
    "double": "number",
    "float": "number",
    "long": "integer",
    "integer": "integer",
    "boolean": "boolean",
    "string": "category",
    "datetime": "date",
}
FLAVOURS = ("lightgbm", "xgboost", "sklearn", "onnx")


@dataclass(frozen=True)
class Description:
    """What an MLmodel file says. `unservable` holds the reason why a version of it can be kept but not served."""

    flavour: str
    file: str
    schema: list[dict[str, Any]]
    unservable: str
    run_id: str
    environment: str


def describe(document: bytes | None, names: Collection[str], tail: Callable[[str], bytes]) -> Description:
    """Describe a logged model from its MLmodel file (None: there is none); Invalid when that is not of MLflow's form.

    `names`: the paths of its files; `tail`: the end of one, however much of it, since models are large.
    """
    try:
        return _describe(_document(document), names, tail)
    except RecursionError as error:
        raise Invalid("The MLmodel file is nested too deeply to be read.") from error
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise Invalid(f"The MLmodel file is not of MLflow's form ({type(error).__name__}: {error}).") from error


def _describe(document: dict[str, Any], names: Collection[str], tail: Callable[[str], bytes]) -> Description:
    flavours = document.get("flavors") or {}
    flavour = next((name for name in FLAVOURS if name in flavours), "pyfunc")
    details = flavours.get(flavour) or {}
    file = _text(details.get("data") or details.get("pickled_model"))
    schema, reason = _schema(document, tail(file) if flavour == "lightgbm" and file in names else b"")
    if flavour == "pyfunc":
        reason = (
            f"its flavours ({', '.join(flavours)}) have no native runtime; log LightGBM, XGBoost, scikit-learn or ONNX"
        )
    elif file not in names:
        reason = f"the {flavour} model file {file!r} is not among its files"
    elif flavour in ("lightgbm", "xgboost") and file.endswith((".skops", ".pkl")):
        reason = "it holds a scikit-learn wrapper; log the booster itself (booster_ or get_booster()), which is no code"
    elif flavour == "sklearn" and details.get("serialization_format") not in ("skops", None):
        reason = "it holds a pickle, which runs code when loaded; log it with serialization_format='skops'"
    environment = next((name for name in ("requirements.txt", "conda.yaml") if name in names), "")
    return Description(flavour, file, schema, reason, _text(document.get("run_id")), environment)


def _text(value: Any) -> str:
    """Return a text; nothing for what is none, whose written form could be without end: YAML's aliases nest."""
    return value if isinstance(value, str) else ""


def _document(text: bytes | None) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text or b"")
        if isinstance(document, dict):
            return document
    except yaml.YAMLError:
        pass
    raise Invalid("These files are not an MLflow model: there is no readable MLmodel. Log it with mlflow first.")


def _schema(document: Mapping[str, Any], booster: bytes) -> tuple[list[dict[str, Any]], str]:
    declared = ((document.get("metadata") or {}).get("countersign") or {}).get("schema")
    if declared:
        return Schema.load(declared).dump(), ""
    inputs = (document.get("signature") or {}).get("inputs")
    if not inputs:
        return [], "it was logged without a signature; pass signature= or input_example= to log_model"
    categories = iter(_pandas_categories(booster))
    columns = []
    for item in json.loads(inputs):
        name, kind = item.get("name"), _KINDS.get(item.get("type"), "")
        words = tuple(str(word) for word in next(categories, ())) if kind == "category" else ()
        if not name or not kind or (kind == "category" and not words):
            return [], (
                f"input {name!r} of type {item.get('type')!r} cannot be encoded; name the schema in "
                "log_model(metadata={'countersign': {'schema': [...]}})"
            )
        columns.append(Column(name, kind, not item.get("required", True), words))
    return Schema(tuple(columns)).dump(), ""


def _pandas_categories(booster: bytes) -> list[list[Any]]:
    """Return the category lists that LightGBM keeps at the end of a model trained on pandas categories."""
    _, found, tail = booster.rpartition(b"\npandas_categorical:")
    values = json.loads(tail.split(b"\n", 1)[0]) if found else None
    return values or []
