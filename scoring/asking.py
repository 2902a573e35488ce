"""What a request asks: a row in the form of the version's schema, and what is kept beside it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from registry.refusals import Invalid
from registry.schema import Schema
from scoring import online
from scoring.online import Store

FIELDS = {"features", "request_id", "entity", "attributes"}
MOST, MOST_REASONS = 1000, 50  # rows of a batch, and reasons against them that are told at once


@dataclass(frozen=True)
class Asked:
    """One row that is to be decided on.

    `vector`: float64 of shape (n_features,) in the schema's order. `inputs`: the JSON bytes of features and attributes
    that go on record, with what the online store brought. `digest`: of what was sent, which makes two requests under
    one `request_id` the same. `fallback`: why the package's fallback is to be answered; empty where it is not.
    """

    features: Mapping[str, Any]
    vector: np.ndarray
    inputs: bytes
    digest: str
    request_id: str | None
    entity: str
    fallback: str = ""


def read(
    schema: Schema,
    *,
    features: Any,
    request_id: Any = None,
    entity: Any = "",
    attributes: Any = None,
    now: datetime,
    store: Store = online.ask,
) -> Asked:
    """Return what is asked, from values as they were sent; Invalid says which of them is wrong, and how.

    Features of the online store that were not sent are read there; they are as old as they are `now`.
    """
    if request_id is not None and not (_is_text(request_id) and request_id):
        raise Invalid("request_id is a text of 1 to 100 printable characters.")
    if not _is_text(entity):
        raise Invalid("entity is a text of at most 100 printable characters.")
    sent = {"features": features, "attributes": _attributes(attributes)}
    if not (schema.online and isinstance(features, Mapping)):
        vector = schema.vector(features)
        inputs = _dumped({**sent, "features": dict(features)})
        return Asked(features, vector, inputs, digest(entity, inputs), request_id, entity)
    found = online.complete(schema.online, features, entity, now, store)
    vector = _known(schema, found.features).vector(found.features) if found.fallback else schema.vector(found.features)
    kept = {**sent, "features": found.features, **({"online": found.read} if found.read else {})}
    asked = digest(entity, _dumped({**sent, "features": dict(features)}))
    return Asked(found.features, vector, _dumped(kept), asked, request_id, entity, found.fallback)


def digest(entity: str, inputs: bytes) -> str:
    """Return what two requests under one request_id must have in common, hexadecimal: about whom, and what."""
    return hashlib.sha256(entity.encode() + b"\0" + inputs).hexdigest()


def _known(schema: Schema, features: Mapping[str, Any]) -> Schema:
    """Return the part of a schema that does not lack what the online store did not bring."""
    missing = {column.name for column in schema.online if column.name not in features}
    return Schema(tuple(column for column in schema.columns if column.name not in missing))


def _dumped(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def read_all(schema: Schema, rows: Any, *, now: datetime) -> list[Asked]:
    """Return what each row of a batch asks; Invalid points to each that is wrong, and then none counts.

    A row is a mapping of `features` and, if wanted, of the other FIELDS.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes) or not 0 < len(rows) <= MOST:
        raise Invalid(f"Send a list of 1 to {MOST:,} rows.")
    asked, wrong, seen = [], list[dict[str, str]](), set[str]()
    store = _store(schema, rows)
    for place, row in enumerate(rows):
        try:
            asked.append(_read_one(schema, row, seen, now, store))
        except Invalid as refusal:
            wrong += [_of_row(place, reason) for reason in refusal.reasons or [{"detail": refusal.detail}]]
    if wrong:
        count = len(rows) - len(asked)
        noun = "row is" if count == 1 else "rows are"
        raise Invalid(
            f"{count} of {len(rows):,} {noun} wrong, so none was decided on. Correct or leave out what is named.",
            reasons=wrong[:MOST_REASONS],
        )
    return asked


def of_rows(asked: Sequence[Asked], details: Mapping[str, str]) -> Invalid:
    """Return the refusal of a batch because of some of its request ids: request_id → what is wrong with it."""
    places = {one.request_id: place for place, one in enumerate(asked)}
    reasons = [
        _of_row(places[request_id], {"pointer": "#/request_id", "detail": detail})
        for request_id, detail in details.items()
    ]
    return Invalid("Some request ids of this batch were used before. None was decided on.", reasons=reasons)


def _store(schema: Schema, rows: Sequence[Any]) -> Store:
    """Return what the online store holds of all entities of a batch, by one journey."""
    if not schema.online:
        return online.ask
    entities = {row.get("entity") for row in rows if isinstance(row, Mapping)}
    return online.fetched(schema.online, sorted(entity for entity in entities if _is_text(entity) and entity))


def _read_one(schema: Schema, row: Any, seen: set[str], now: datetime, store: Store) -> Asked:
    if not isinstance(row, Mapping) or not {"features"} <= set(row) <= FIELDS:
        raise Invalid("A row is an object with `features`, and if you like `request_id`, `entity`, `attributes`.")
    asked = read(schema, **row, now=now, store=store)
    if asked.request_id in seen:
        raise Invalid(f"request_id {asked.request_id!r} comes twice in this batch. Give each row its own.")
    seen |= {asked.request_id} if asked.request_id else set()
    return asked


def _of_row(place: int, reason: Mapping[str, str]) -> dict[str, str]:
    """Return a reason against one row as one against the batch."""
    return {"pointer": f"#/rows/{place}{reason.get('pointer', '#')[1:]}", "detail": reason["detail"]}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100 and value.isprintable()


def _attributes(given: Any) -> dict[str, str]:
    given = {} if given is None else given
    flat = isinstance(given, Mapping) and all(isinstance(v, str) and len(v) <= 100 for v in given.values())
    if not flat or len(given) > 20:
        raise Invalid("attributes is an object of at most 20 names and short texts.")
    return dict(given)
