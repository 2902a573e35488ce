"""The text of a checkpoint (tlog-checkpoint): origin, size and root of a tree, in three lines.

Extension lines are allowed by the format but not recommended, no auditor can check them, and implementations differ in
what they sign of them. We write none and refuse any.
"""

from dataclasses import dataclass

from registry.refusals import Mismatch
from registry.tlog import strict


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: which log, how many leaves, which root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{strict.encode(self.root)}\n"

    @classmethod
    def parse(cls, text: bytes | str) -> "Checkpoint":
        """Read the text of a checkpoint; Mismatch for anything but its three lines."""
        lines = strict.utf8(text, "a checkpoint").split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise Mismatch("This is not a checkpoint of three lines.")
        return cls(lines[0], strict.number(lines[1]), strict.digest(lines[2]))
