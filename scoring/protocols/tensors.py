"""Tensors of the Open Inference Protocol V2, as JSON and in Triton's binary form, as flat lists of plain values.

A value is what its datatype can hold: 0.1 as FP32 is the nearest of 24 bits, whichever way it was sent.
Sources: https://github.com/kserve/open-inference-protocol (inference_rest.md) and Triton's binary data extension.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.protocols.bodies import Malformed

_INTEGERS = {
    f"{sign}INT{8 * size}": f"<{kind}{size}" for sign, kind in (("U", "u"), ("", "i")) for size in (1, 2, 4, 8)
}
_FLOATS = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
DATATYPES = ("BOOL", *_INTEGERS, *_FLOATS, "BYTES")
_WIDTHS = {"BOOL": "|u1", **_INTEGERS, **_FLOATS}
_RANGES = {name: (int(np.iinfo(code).min), int(np.iinfo(code).max)) for name, code in _INTEGERS.items()}
_DIMENSIONS = 8
_NUMBERS = {float, int, type(None)}  # bool, which is an int to isinstance, is none
_KEYS = {"name", "shape", "datatype", "parameters", "data"}


@dataclass(frozen=True)
class Tensor:
    """`values` in row-major order, as many as the shape says: float, int, bool or str; None (or NaN) is missing."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any]


def read(said: Any, tail: "Tail") -> Tensor:
    """Return a tensor of a request, whose values stand in `data` or come next in the binary part; else Malformed.

    Nothing is set aside by what a shape claims: only what was sent is ever looked at.
    """
    if not isinstance(said, dict) or not {"name", "shape", "datatype"} <= set(said) <= _KEYS:
        raise Malformed("An input is an object of name, shape, datatype and data; parameters are optional.")
    name, datatype = said["name"], said["datatype"]
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise Malformed("The name of an input is a text of 1 to 200 characters.")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise Malformed(f"Input {name!r} has datatype {str(datatype)[:20]!r}; there are {', '.join(DATATYPES)}.")
    shape = _shape(name, said["shape"])
    size = binary_size(name, said.get("parameters"))
    if (size is None) != ("data" in said):
        raise Malformed(f"Input {name!r} carries its values once: in `data`, or as binary_data_size bytes.")
    values = _from_json(name, datatype, shape, said["data"]) if size is None else tail.take(name, datatype, size)
    if len(values) != math.prod(shape):
        raise Malformed(f"Input {name!r} of shape {list(shape)} holds {math.prod(shape)} values, not {len(values)}.")
    return Tensor(name, datatype, shape, values)


def binary_size(name: str, parameters: Any) -> int | None:
    """Return `binary_data_size` of an input's parameters; None: its values are JSON."""
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise Malformed(f"The parameters of {name!r} are an object.")
    if any(key.startswith("shared_memory") for key in parameters):
        raise Malformed(f"Input {name!r} lies in shared memory, which is not supported: send its values.")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise Malformed(f"binary_data_size of {name!r} is a number of bytes.")
    return size


def _shape(name: str, said: Any) -> tuple[int, ...]:
    fits = type(said) is list and 0 < len(said) <= _DIMENSIONS and {*map(type, said)} == {int}
    if not fits or min(said) < 0 or max(said) >= 2**64:
        raise Malformed(f"The shape of {name!r} is a list of 1 to {_DIMENSIONS} whole numbers, none below 0.")
    return tuple(said)


def _from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise Malformed(f"The data of {name!r} is a list.")
    flat = _unnested(name, shape, data) if data and isinstance(data[0], list) else data
    try:
        return _CHECKS[datatype](datatype, flat)
    except ValueError as error:
        raise Malformed(f"The data of {name!r} {error}.") from error


def _unnested(name: str, shape: tuple[int, ...], data: list[Any]) -> list[Any]:
    """Return the values of nested lists, which must be nested exactly as the shape says."""
    level: list[Any] = [data]
    for size in shape:
        if not all(isinstance(item, list) and len(item) == size for item in level):
            raise Malformed(f"The data of {name!r} is flat, or nested exactly as its shape {list(shape)}.")
        level = [value for item in level for value in item]
    return level


def _floats(datatype: str, data: list[Any]) -> list[Any]:
    if not {*map(type, data)} <= _NUMBERS:
        raise ValueError("holds something else than numbers; null is a missing one")
    try:
        numbers = [value if value is None else float(value) for value in data]
    except OverflowError:
        raise ValueError(f"holds a number beyond {datatype}") from None
    return numbers if datatype == "FP64" else _narrowed(datatype, numbers)


def _narrowed(datatype: str, numbers: list[Any]) -> list[Any]:
    with np.errstate(over="ignore"):
        narrow = np.array(numbers, dtype="<f8").astype(_FLOATS[datatype])
    if np.isinf(narrow).any():
        raise ValueError(f"holds a number beyond {datatype}")
    return narrow.tolist()


def _integers(datatype: str, data: list[Any]) -> list[Any]:
    low, high = _RANGES[datatype]
    if not {*map(type, data)} <= {int} or (data and not low <= min(data) <= max(data) <= high):
        raise ValueError(f"holds something else than whole numbers from {low} to {high}")
    return data


def _booleans(datatype: str, data: list[Any]) -> list[Any]:
    if not {*map(type, data)} <= {bool}:
        raise ValueError("holds something else than true and false")
    return data


def _texts(datatype: str, data: list[Any]) -> list[Any]:
    if not {*map(type, data)} <= {str, type(None)}:
        raise ValueError("holds something else than texts; null is a missing one")
    return data


_CHECKS = {
    "BOOL": _booleans,
    **dict.fromkeys(_INTEGERS, _integers),
    **dict.fromkeys(_FLOATS, _floats),
    "BYTES": _texts,
}


class Tail:
    """The binary part of a body, taken from front to back in the order of the inputs."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def take(self, name: str, datatype: str, size: int) -> list[Any]:
        """Return the values of the next `size` bytes, little-endian without padding."""
        if size > len(self._data) - self._place:
            raise Malformed(f"Input {name!r} claims {size} bytes of binary data, more than were sent.")
        piece = self._data[self._place : self._place + size]
        self._place += size
        try:
            return _unpacked_texts(piece) if datatype == "BYTES" else _unpacked(datatype, piece)
        except ValueError as error:
            raise Malformed(f"The binary data of {name!r} {error}.") from error

    def end(self) -> None:
        """Refuse bytes that belong to no input."""
        if self._place != len(self._data):
            raise Malformed(f"{len(self._data) - self._place} bytes of binary data belong to no input.")


def _unpacked(datatype: str, piece: bytes) -> list[Any]:
    width = np.dtype(_WIDTHS[datatype]).itemsize
    if len(piece) % width:
        raise ValueError(f"has {len(piece)} bytes, which are no whole number of {datatype}")
    found = np.frombuffer(piece, dtype=_WIDTHS[datatype])
    if datatype != "BOOL":
        return found.tolist()
    if found.size and found.max() > 1:
        raise ValueError("holds a BOOL that is neither 0 nor 1")
    return found.astype(bool).tolist()


def _unpacked_texts(piece: bytes) -> list[Any]:
    """Return the texts of a BYTES tensor: each has four bytes of length before it."""
    texts, place = [], 0
    while place < len(piece):
        end = place + 4
        end += int.from_bytes(piece[place:end], "little")
        if end > len(piece) or len(piece) - place < 4:
            raise ValueError("ends within a text, or within its length")
        text = piece[place + 4 : end].decode()  # UnicodeDecodeError is a ValueError
        if "\0" in text:
            raise ValueError("holds a NUL character, which nothing here can keep")
        texts.append(text)
        place = end
    return texts


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """Return FP64, INT64 or BYTES values in the binary form; a missing number is NaN."""
    if datatype == "BYTES":
        encoded = [value.encode() for value in values]
        return b"".join(part for text in encoded for part in (struct.pack("<I", len(text)), text))
    return np.array(values, dtype=_WIDTHS[datatype]).tobytes()
