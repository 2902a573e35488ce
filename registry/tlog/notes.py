"""Signed notes, keys, checkpoints and proof files in the C2SP formats (signed-note, tlog-checkpoint, tlog-proof).

Parsers are strict: canonical base64, LF only, decimal numbers without sign or leading zero. What they refuse is a
Mismatch, because it is always evidence about somebody's bytes.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from registry.refusals import Mismatch

ED25519 = 0x01
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME = re.compile(r"[^\s+]+")


def _unbase64(text: str) -> bytes:
    """Decode canonical base64 only: what does not encode back to itself is refused."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Mismatch(f"{text[:20]!r} is not base64.") from error
    if base64.b64encode(data).decode() != text:
        raise Mismatch(f"{text[:20]!r} is not canonical base64.")
    return data


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= 1 << 63:
        raise Mismatch(f"{text[:20]!r} is not a plain decimal number.")
    return int(text)


def key_id(name: str, public: bytes) -> bytes:
    """Return the four bytes by which a note names its key."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([ED25519]) + public).digest()[:4]


@dataclass(frozen=True)
class Verifier:
    """A public key with the name it signs under; its text form is the vkey of the signed-note format."""

    name: str
    public: bytes

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{key_id(self.name, self.public).hex()}+{encoded}"

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read a vkey, whose base64 may itself hold a plus sign."""
        parts = vkey.split("+", 2)
        if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
            raise Mismatch("This is not a verifier key (name+id+key).")
        key = _unbase64(parts[2])
        if len(key) != 33 or key[0] != ED25519 or key_id(parts[0], key[1:]).hex() != parts[1]:
            raise Mismatch(f"The verifier key of {parts[0]} is damaged: its id does not belong to its bytes.")
        return cls(parts[0], key[1:])

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raise Mismatch unless this key signed the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature as error:
            raise Mismatch(f"The signature by {self.name} does not belong to these bytes.") from error


@dataclass(frozen=True)
class Signer:
    """A private key with its name; its text form is the one of Go's note package."""

    name: str
    seed: bytes

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """Read PRIVATE+KEY+name+id+key."""
        parts = text.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise Mismatch("This is not a signing key (PRIVATE+KEY+name+id+key).")
        key = _unbase64(parts[4])
        if len(key) != 33 or key[0] != ED25519:
            raise Mismatch("This is not an Ed25519 signing key.")
        return cls(parts[2], key[1:])

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([ED25519]) + self.seed).decode()
        return f"PRIVATE+KEY+{self.name}+{key_id(self.name, self.verifier.public).hex()}+{encoded}"

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature (RFC 8032), 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def note(self, text: str) -> str:
        """Return the signed note of a text that ends in a line feed."""
        identity = key_id(self.name, self.verifier.public)
        line = base64.b64encode(identity + self.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {line}\n"


def open_note(note: str, verifier: Verifier) -> str:
    """Return the text of a note that this key signed; other keys' lines are ignored."""
    if len(note) > 1_000_000 or any(ord(c) < 0x20 and c != "\n" for c in note):
        raise Mismatch("This is not a signed note: it is too long or holds control characters.")
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise Mismatch("This is not a signed note: there is no block of signatures.")
    text += "\n"
    signed = False
    for line in signatures[:-1].split("\n"):
        match = re.fullmatch(r"— (\S+) (\S+)", line)
        if not match:
            raise Mismatch("This is not a signed note: a signature line is malformed.")
        blob = _unbase64(match[2])
        if match[1] == verifier.name and blob[:4] == key_id(verifier.name, verifier.public):
            verifier.verify(text.encode(), blob[4:])
            signed = True
    if not signed:
        raise Mismatch(f"The note carries no signature by {verifier.name}.")
    return text


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: which log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a checkpoint; extension lines are refused."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise Mismatch("This is not a checkpoint of three lines.")
        root = _unbase64(lines[2])
        if len(root) != 32:
            raise Mismatch("A checkpoint's root has 32 bytes.")
        return cls(lines[0], _number(lines[1]), root)

    @classmethod
    def open(cls, note: str, verifier: Verifier) -> "Checkpoint":
        """Read a signed checkpoint of the log that this key belongs to."""
        checkpoint = cls.parse(open_note(note, verifier))
        if checkpoint.origin != verifier.name:
            raise Mismatch(f"This checkpoint is of {checkpoint.origin}, not of {verifier.name}.")
        return checkpoint


def proof_file(index: int, proof: list[bytes], note: str) -> str:
    """Return a tlog-proof@v1 file: index, hashes with the leaf's sibling first, and the checkpoint verbatim."""
    hashes = "".join(base64.b64encode(item).decode() + "\n" for item in proof)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{note}"
