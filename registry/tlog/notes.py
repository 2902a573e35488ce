"""Signed notes (signed-note): a text, and the lines of those who signed it.

A line by an unknown key is ignored. One by a known key that does not verify spoils the whole note, even beside good
ones: somebody tampered, or a signer is broken, and both must be looked at.
"""

import re
from dataclasses import dataclass

from registry.refusals import Mismatch
from registry.tlog import cosignatures, strict
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.vkeys import ED25519, NAME, Signer, Verifier

__all__ = ["ED25519", "Checkpoint", "Note", "Signature", "Signer", "Verifier", "open_checkpoint", "open_note", "sign"]

LARGEST_NOTE = 1_000_000  # bytes
MOST_SIGNATURES = 100
_LINE = re.compile(rf"— ({NAME}) ([!-~]+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class Signature:
    """One signature line: whose, by which key, and what follows the key's id."""

    name: str
    id: bytes
    payload: bytes

    def __str__(self) -> str:
        return f"— {self.name} {strict.encode(self.id + self.payload)}\n"

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """Read a signature line without its line feed; Mismatch for any other text."""
        match = _LINE.fullmatch(line)
        if not match:
            raise Mismatch("A signature line is malformed.")
        blob = strict.decode(match[2])
        if len(blob) < 5:
            raise Mismatch("A signature line holds no signature.")
        return cls(match[1], blob[:4], blob[4:])

    @classmethod
    def by(cls, signer: Signer, text: bytes, time: int = 0) -> "Signature":
        """Sign a text; a key of a cosigner's kind signs it as a checkpoint at that time (seconds since 1970)."""
        timed = signer.kind in cosignatures.KINDS
        payload = cosignatures.make(signer, text, time) if timed else signer.sign(text)
        return cls(signer.name, signer.verifier.id, payload)

    def check(self, verifier: Verifier, text: bytes) -> int:
        """Return the time of this signature by that key over a text (0 where it has none); Mismatch if it is false."""
        if verifier.kind in cosignatures.KINDS:
            return cosignatures.check(verifier, text, self.payload)
        verifier.verify(text, self.payload)
        return 0


def signature_lines(block: str) -> tuple[Signature, ...]:
    """Read one to a hundred signature lines, each ending in a line feed; Mismatch for anything else."""
    lines = block.split("\n")
    if lines.pop() or not 1 <= len(lines) <= MOST_SIGNATURES:
        raise Mismatch(f"A block of signatures has 1 to {MOST_SIGNATURES} lines, each ending in a line feed.")
    return tuple(Signature.parse(line) for line in lines)


@dataclass(frozen=True)
class Note:
    """A text, which ends in a line feed, and its signatures in their order."""

    text: bytes
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text.decode()}\n{''.join(map(str, self.signatures))}"

    @classmethod
    def parse(cls, data: bytes | str) -> "Note":
        """Read a note without judging its signatures; Mismatch unless every byte is in its place."""
        if len(data) > LARGEST_NOTE:
            raise Mismatch(f"This is not a signed note: it has more than {LARGEST_NOTE} bytes.")
        note = strict.utf8(data, "a signed note")
        if _CONTROL.search(note):
            raise Mismatch("This is not a signed note: it holds control characters.")
        text, blank, block = note.rpartition("\n\n")
        if not blank:
            raise Mismatch("This is not a signed note: no empty line stands before its signatures.")
        return cls(f"{text}\n".encode(), signature_lines(block))

    def signed_by(self, verifier: Verifier) -> list[int]:
        """Return the time of each signature by this key (0 for one without time), none if it did not sign.

        Raises Mismatch if one of them is false.
        """
        lines = {line for line in self.signatures if (line.name, line.id) == (verifier.name, verifier.id)}
        return sorted(line.check(verifier, self.text) for line in lines)


def sign(text: str, *signers: Signer, time: int = 0) -> str:
    """Return the note of a text that ends in a line feed, signed by each in turn.

    `time` (seconds since 1970) is what keys of a cosigner's kind attest; a log may leave it zero.
    """
    body = text.encode()
    return str(Note(body, tuple(Signature.by(signer, body, time) for signer in signers)))


def open_note(note: bytes | str, verifier: Verifier) -> str:
    """Return the text of a note that this key signed; other keys' lines are ignored."""
    found = Note.parse(note)
    if not found.signed_by(verifier):
        raise Mismatch(f"The note carries no signature by {verifier.name}.")
    return found.text.decode()


def open_checkpoint(note: bytes | str, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint in a note signed by the log that this key belongs to."""
    checkpoint = Checkpoint.parse(open_note(note, verifier))
    if checkpoint.origin != verifier.name:
        raise Mismatch(f"This checkpoint is of {checkpoint.origin}, not of {verifier.name}.")
    return checkpoint
