"""Salted commitments: what a decision's parts are called in the ledger, where personal data never enters.

Whoever holds bytes and salt can show that they are what was entered; without the salt, an entry does not tell even
which of two labels it holds.
"""

import hashlib
import secrets

SALT = 32  # bytes, as many as the digest has: guessing it is no easier than breaking SHA-256
_PREFIX = b"countersign/commit/v1/"


def salt() -> bytes:
    """Return a new salt."""
    return secrets.token_bytes(SALT)


def commit(part: str, salt: bytes, data: bytes) -> str:
    """Return the hexadecimal commitment to a part (`inputs`, `answer`, `outcome`) of a decision."""
    return hashlib.sha256(_PREFIX + part.encode() + b"\0" + salt + data).hexdigest()
