"""Read what Feast keeps in Redis, without Feast: how it names an entity's hash and its fields, and what they hold.

The layout is that of feast.infra.online_stores.redis with entity keys of version 3: key = serialised entity key and
project; field = MurmurHash3 of `view:feature`, and `_ts:view` for the event; value = a protobuf message Value.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.refusals import Invalid

_STRING, _INT64 = 2, 4  # feast.types.ValueType
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf
_TEXT, _INTEGERS, _DOUBLE, _FLOAT, _BOOLEAN = 2, (3, 4), 5, 6, 7  # fields of feast.types.Value
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Layout:
    """The features of a project, of entities with one join key; `integers`: whose values are int64, not text."""

    project: str
    join_key: str
    integers: bool = False

    def key(self, entity: str) -> bytes:
        """Return the key of the hash that holds an entity's features."""
        name = self.join_key.encode()
        kind, value = (_INT64, struct.pack("<q", _integer(entity))) if self.integers else (_STRING, entity.encode())
        parts = struct.pack("<III", 1, _STRING, len(name)) + name + struct.pack("<II", kind, len(value)) + value
        return parts + self.project.encode()

    def fields(self, names: Sequence[str]) -> list[bytes]:
        """Return the fields of features called `view:feature`, then those of the views' events."""
        return [struct.pack("<I", murmur3(name.encode())) for name in names] + [_event(view) for view in _views(names)]

    def values(self, names: Sequence[str], found: Sequence[bytes | None]) -> list[tuple[Any, float] | None]:
        """Return value and moment (POSIX seconds) of each feature; None of one that is not there."""
        events = dict(zip(_views(names), found[len(names) :], strict=True))
        result: list[tuple[Any, float] | None] = []
        for name, data in zip(names, found, strict=False):
            moment = events[name.partition(":")[0]]
            known = data is not None and moment is not None
            result.append((value_of(data or b""), _moment(moment or b"")) if known else None)
        return result


def _integer(entity: str) -> int:
    try:
        if abs(number := int(entity)) < 1 << 63:
            return number
    except ValueError:
        pass
    raise Invalid("`entity` is a whole number here: the online store's keys are int64.")


def _views(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.partition(":")[0] for name in names))


def _event(view: str) -> bytes:
    return f"_ts:{view}".encode()


def value_of(data: bytes) -> Any:
    """Return what a message Value holds: a number, a text, a boolean; None for anything else, and for null."""
    for number, content in _message(data):
        if number == _TEXT and isinstance(content, bytes):
            return content.decode("utf-8", "replace")
        if number in _INTEGERS and isinstance(content, int):
            return content - (1 << 64) if content >> 63 else content
        if number == _BOOLEAN:
            return bool(content)
        if number == _DOUBLE and isinstance(content, bytes) and len(content) == 8:
            return struct.unpack("<d", content)[0]
        if number == _FLOAT and isinstance(content, bytes) and len(content) == 4:
            return struct.unpack("<f", content)[0]
    return None


def _moment(data: bytes) -> float:
    """Return the POSIX seconds of a message google.protobuf.Timestamp."""
    parts = {number: content for number, content in _message(data) if isinstance(content, int)}
    return parts.get(1, 0) + parts.get(2, 0) / 1e9


def _message(data: bytes) -> list[tuple[int, int | bytes]]:
    """Return the fields of a protobuf message: (number, integer or bytes); what is cut off is left out."""
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            found.append((tag >> 3, value))
            continue
        if wire not in (_FIXED64, _BYTES, _FIXED32):
            break
        size, at = _varint(data, at) if wire == _BYTES else (8 if wire == _FIXED64 else 4, at)
        found.append((tag >> 3, data[at : at + size]))
        at += size
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128 or shift > 63:
            break
    return value, at


def murmur3(data: bytes) -> int:
    """Return MurmurHash3 x86 32-bit with seed 0 (Appleby, public domain)."""
    result, whole = 0, len(data) // 4 * 4
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        result ^= _mixed(block)
        result = (_rotated(result, 13) * 5 + 0xE6546B64) & _MASK
    result ^= _mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        result = ((result ^ result >> shift) * factor) & _MASK
    return result ^ result >> 16


def _mixed(block: int) -> int:
    return (_rotated((block * 0xCC9E2D51) & _MASK, 15) * 0x1B873593) & _MASK


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & _MASK
