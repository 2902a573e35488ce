"""What a request asks: a row in the form of the version's schema, and what is kept beside it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from registry.refusals import Invalid
from registry.schema import Schema


@dataclass(frozen=True)
class Asked:
    """One row that is to be decided on.

    `vector`: float64 of shape (n_features,) in the schema's order. `inputs`: the JSON bytes of features and attributes
    that go on record. `digest`: what makes two requests under one `request_id` the same.
    """

    features: Mapping[str, Any]
    vector: np.ndarray
    inputs: bytes
    digest: str
    request_id: str | None
    entity: str


def read(
    schema: Schema,
    *,
    features: Any,
    request_id: Any = None,
    entity: Any = "",
    attributes: Any = None,
) -> Asked:
    """Return what is asked, from values as they were sent; Invalid says which of them is wrong, and how."""
    if request_id is not None and not (_is_text(request_id) and request_id):
        raise Invalid("request_id is a text of 1 to 100 printable characters.")
    if not _is_text(entity):
        raise Invalid("entity is a text of at most 100 printable characters.")
    vector = schema.vector(features)
    kept = {"features": dict(features), "attributes": _attributes(attributes)}
    inputs = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(entity.encode() + b"\0" + inputs).hexdigest()
    return Asked(kept["features"], vector, inputs, digest, request_id, entity)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100 and value.isprintable()


def _attributes(given: Any) -> dict[str, str]:
    given = {} if given is None else given
    flat = isinstance(given, Mapping) and all(isinstance(v, str) and len(v) <= 100 for v in given.values())
    if not flat or len(given) > 20:
        raise Invalid("attributes is an object of at most 20 names and short texts.")
    return dict(given)
