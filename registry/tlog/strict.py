"""Text forms that have exactly one spelling: base64, decimal numbers, hashes in lines.

Python's own parsers are too kind: `int` takes `+5`, `1_0` and digits of other scripts, `b64decode` skips what it does
not know, `splitlines` splits at U+2028. Two spellings of one value are two byte strings under one meaning, which is how
forgeries are hidden, so whatever does not encode back to itself is refused as a Mismatch.
"""

import base64
import re
from collections.abc import Iterable

from registry.refusals import Mismatch

LARGEST = (1 << 63) - 1  # sizes, indexes and times: what every implementation can hold
HASH = 32  # bytes of a SHA-256
MOST_HASHES = 63  # lines of a proof: no tree of 2**63 leaves needs more

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)


def encode(data: bytes) -> str:
    """Return the base64 of RFC 4648 section 4."""
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    """Return the bytes of canonical base64 (RFC 4648 section 4); Mismatch for any other text."""
    if not _BASE64.fullmatch(text):
        raise Mismatch(f"{text[:20]!r} is not base64.")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Mismatch(f"{text[:20]!r} is not base64.") from error
    if encode(data) != text:
        raise Mismatch(f"{text[:20]!r} is not canonical base64.")
    return data


def number(text: str) -> int:
    """Return a decimal number of 0 to 2**63 - 1 without sign, space or leading zero; Mismatch for any other text."""
    if not _NUMBER.fullmatch(text) or int(text) > LARGEST:
        raise Mismatch(f"{text[:20]!r} is not a plain decimal number up to {LARGEST}.")
    return int(text)


def digest(text: str) -> bytes:
    """Return the 32 bytes of a hash in base64."""
    data = decode(text)
    if len(data) != HASH:
        raise Mismatch(f"{text[:50]!r} is not a hash of {HASH} bytes.")
    return data


def digests(lines: Iterable[str]) -> list[bytes]:
    """Return the hashes of a proof, one a line; Mismatch for more than 63."""
    found = [digest(line) for line in lines]
    if len(found) > MOST_HASHES:
        raise Mismatch(f"A proof has at most {MOST_HASHES} hashes, not {len(found)}.")
    return found


def encoded(hashes: Iterable[bytes]) -> str:
    """Return the lines of a proof, each ending in a line feed."""
    return "".join(f"{encode(item)}\n" for item in hashes)


def utf8(data: bytes | str, what: str) -> str:
    """Return text of valid UTF-8; Mismatch otherwise."""
    if isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Mismatch(f"This is not {what}: it is not UTF-8.") from error
