"""Files that somebody hands to a command: read whole up to a limit, `-` for standard input."""

import sys
from pathlib import Path

from registry.refusals import Mismatch

STANDARD_INPUT = "-"


def read(path: str, largest: int) -> bytes:
    """Return the bytes of a file; Mismatch when it cannot be read or is larger than `largest` bytes."""
    try:
        if path == STANDARD_INPUT:
            data = sys.stdin.buffer.read(largest + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise Mismatch(f"{path} cannot be read: {reason}.") from error
    if len(data) > largest:
        raise Mismatch(f"{path} has more than {largest} bytes.")
    return data
