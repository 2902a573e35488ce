"""Keys of the signed-note format and their text forms: who signs, under which name, with which kind of signature.

A vkey is `name+id+base64(kind || public key)`, a private key `PRIVATE+KEY+name+id+base64(kind || seed)` as in Go's
note package. The id is the first four bytes of SHA-256 over name, kind and public key, so a key that is used for two
kinds of signature has two ids.
"""

import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from registry.refusals import Mismatch
from registry.tlog import strict

ED25519 = 0x01  # over the text of a note
COSIGNATURE = 0x04  # Ed25519 over time and text of a checkpoint
MLDSA44 = 0x06  # ML-DSA-44 (FIPS 204) over time and head of a checkpoint
PUBLIC_BYTES = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}
SEED_BYTES = 32
NAME = r"[^\s+\ud800-\udfff]+"  # of a key: no Unicode space, no plus, nothing that is no character

_PRIVATE = MLDSA44PrivateKey | Ed25519PrivateKey


def key_id(name: str, public: bytes, kind: int = ED25519) -> bytes:
    """Return the four bytes by which a signature line names its key."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _body(text: str, name: str, sizes: dict[int, int], what: str) -> tuple[int, bytes]:
    """Return kind and bytes of a key's base64; Mismatch for another kind or length."""
    data = strict.decode(text)
    if not re.fullmatch(NAME, name) or sizes.get(data[0]) != len(data) - 1:
        raise Mismatch(f"This is not {what} of a kind known here (Ed25519, its cosignature, ML-DSA-44).")
    return data[0], data[1:]


@dataclass(frozen=True)
class Verifier:
    """A public key with the name it signs under."""

    name: str
    public: bytes
    kind: int = ED25519

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{strict.encode(bytes([self.kind]) + self.public)}"

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature line names this key."""
        return key_id(self.name, self.public, self.kind)

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read a vkey, whose base64 may itself hold a plus sign; Mismatch when its parts do not belong together."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise Mismatch("This is not a verifier key (name+id+key).")
        kind, public = _body(parts[2], parts[0], PUBLIC_BYTES, "a verifier key")
        found = cls(parts[0], public, kind)
        if found.id.hex() != parts[1]:
            raise Mismatch(f"The verifier key of {parts[0]} is damaged: its id does not belong to its bytes.")
        return found

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raise Mismatch unless this key signed these bytes (RFC 8032; FIPS 204 with an empty context)."""
        load = MLDSA44PublicKey if self.kind == MLDSA44 else Ed25519PublicKey
        try:
            load.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise Mismatch(f"The signature by {self.name} does not belong to these bytes.") from error


@dataclass(frozen=True)
class Signer:
    """A private key (a seed of 32 bytes) with its name."""

    name: str
    seed: bytes
    kind: int = ED25519

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """Read PRIVATE+KEY+name+id+key; Mismatch when its parts do not belong together."""
        parts = text.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise Mismatch("This is not a signing key (PRIVATE+KEY+name+id+key).")
        kind, seed = _body(parts[4], parts[2], dict.fromkeys(PUBLIC_BYTES, SEED_BYTES), "a signing key")
        found = cls(parts[2], seed, kind)
        if found.verifier.id.hex() != parts[3]:
            raise Mismatch(f"The signing key of {parts[2]} is damaged: its id does not belong to its bytes.")
        return found

    def __str__(self) -> str:
        return f"PRIVATE+KEY+{self.name}+{self.verifier.id.hex()}+{strict.encode(bytes([self.kind]) + self.seed)}"

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self._private().public_key().public_bytes_raw(), self.kind)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over these bytes: 64 bytes of Ed25519 or 2,420 of ML-DSA-44."""
        return self._private().sign(message)

    def _private(self) -> _PRIVATE:
        if self.kind == MLDSA44:
            return MLDSA44PrivateKey.from_seed_bytes(self.seed)
        return Ed25519PrivateKey.from_private_bytes(self.seed)
