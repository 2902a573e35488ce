"""The bytes of a request or an answer: inflated within bounds, cut where binary tensors begin, parsed as JSON."""

import gzip
import re
import zlib
from typing import Any

from registry.api import rendering
from registry.refusals import Invalid, TooLarge

SMALL = 1024  # bytes below which an answer is not worth compressing
_BITS = {"gzip": 31, "deflate": zlib.MAX_WBITS}  # "deflate" is the zlib format (RFC 9110 section 8.4.1.2)
# A text, ended or not so that none is looked at twice, or NaN outside of any.
_TEXT_OR_NAN = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)|NaN', re.DOTALL)


class Malformed(Invalid):
    """What was sent cannot be read at all, as opposed to what is read and does not fit the model."""


def inflated(data: bytes, encoding: str, *, limit: int) -> bytes:
    """Return the body without its content coding; never more than `limit` bytes of it are unpacked.

    Malformed where it is no such stream, is cut short or goes on behind its end; TooLarge beyond the limit.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in _BITS:
        raise Malformed(f"Content-Encoding {encoding[:40]!r} is not understood here: send gzip, deflate or none.")
    stream = zlib.decompressobj(_BITS[encoding])
    try:
        found = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise Malformed(f"The body is not {encoding}: {error}.") from error
    if len(found) > limit:
        raise TooLarge(f"The body has more than {limit} bytes once it is unpacked. Send fewer rows at once.")
    if not stream.eof or stream.unused_data:
        raise Malformed(f"The {encoding} body is cut short, or something follows its end.")
    return found


def deflated(data: bytes, accepted: str) -> tuple[bytes, str]:
    """Return an answer as the Accept-Encoding header wishes, and the coding's name; small ones as they are."""
    wished = _wished(accepted)
    if len(data) < SMALL or wished not in _BITS:
        return data, ""
    return (gzip.compress(data, 1, mtime=0) if wished == "gzip" else zlib.compress(data, 1)), wished


def _wished(accepted: str) -> str:
    """Return the first coding of ours that the header names without refusing it by `q=0`."""
    for item in accepted.lower().split(","):
        name, _, weight = item.partition(";")
        if name.strip() in _BITS and weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            return name.strip()
    return ""


def cut(data: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    """Return the JSON part of a body and the binary tensors behind it, as Inference-Header-Content-Length tells."""
    if header_length is None:
        return data, b""
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 12):
        raise Malformed("Inference-Header-Content-Length is a number of bytes.")
    length = int(header_length)
    if length > len(data):
        raise Malformed(f"Inference-Header-Content-Length is {length}, but the body has only {len(data)} bytes.")
    return data[:length], data[length:]


def parsed(data: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; Malformed where it is none. NaN, which is no JSON, is read as null.

    Stock clients write a missing number so: tritonclient, and whatever uses the json module of Python.
    """
    try:
        value = rendering.parse(_without_nan(data) if b"NaN" in data else data)
    except Invalid as refusal:
        raise Malformed(refusal.detail) from refusal
    if not isinstance(value, dict):
        raise Malformed(f"The body is a JSON object, not {type(value).__name__}.")
    return value


def _without_nan(data: bytes) -> bytes:
    return _TEXT_OR_NAN.sub(lambda found: b"null" if found[0] == b"NaN" else found[0], data)
