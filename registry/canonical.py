"""One byte form for any value whose digest others recompute (RFC 8785), and its SHA-256."""

import hashlib
from typing import Any

import rfc8785

from registry.refusals import Invalid


def dump(value: Any) -> bytes:
    """Return the RFC 8785 (JSON Canonicalization Scheme) bytes of a JSON value.

    A whole number beyond 2^53 is taken as the float it is in JSON: the database hands 1e+20 back as an integer.
    """
    try:
        return rfc8785.dumps(_as_read_back(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise Invalid(f"This value has no canonical JSON form: {error}. Use finite numbers and plain text.") from error


def _as_read_back(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_read_back(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_read_back(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 53:
        return float(value)
    return value


def digest(value: Any) -> str:
    """Return the hexadecimal SHA-256 of the value's canonical bytes."""
    return sha256(dump(value))


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()
