"""Proof files (tlog-proof@v1, `*.tlog-proof`): that an entry stands at an index of a log, checkable offline."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry.refusals import Mismatch
from registry.tlog import merkle, strict
from registry.tlog.checkpoints import Checkpoint

HEADER = "c2sp.org/tlog-proof@v1"
LARGEST_FILE = 2_000_000  # bytes: a note and as much again


@dataclass(frozen=True)
class ProofFile:
    """Index, hashes with the leaf's sibling first, and the signed checkpoint verbatim.

    `extra` is whatever somebody put there: nothing signs it, so nothing may depend on it.
    """

    index: int
    hashes: Sequence[bytes]
    note: str
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = "" if self.extra is None else f"extra {strict.encode(self.extra)}\n"
        return f"{HEADER}\n{extra}index {self.index}\n{strict.encoded(self.hashes)}\n{self.note}"

    @classmethod
    def parse(cls, data: bytes | str) -> "ProofFile":
        """Read a proof file; Mismatch unless every line is in its place. The note is not judged here."""
        if len(data) > LARGEST_FILE:
            raise Mismatch(f"This is not a proof file: it has more than {LARGEST_FILE} bytes.")
        head, blank, note = strict.utf8(data, "a proof file").partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != HEADER:
            raise Mismatch(f"This is not a proof file: it does not begin with {HEADER}, or no empty line follows.")
        extra = _extra(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
        if not lines or not lines[0].startswith("index "):
            raise Mismatch("This is not a proof file: it names no index.")
        return cls(strict.number(lines[0][6:]), strict.digests(lines[1:]), note, extra)

    def verify(self, entry: bytes, checkpoint: Checkpoint) -> None:
        """Raise Mismatch unless the entry stands at this index of the checkpoint's tree (RFC 9162 section 2.1.3.2)."""
        merkle.verify_inclusion(merkle.leaf_hash(entry), self.index, checkpoint.size, self.hashes, checkpoint.root)


def _extra(text: str) -> bytes:
    return strict.decode(text) if text else b""  # nothing at all is the base64 of no bytes
