"""Logs in the C2SP formats, small enough to build in a test: entries, signed heads, proofs, published files."""

from pathlib import Path

from registry.tlog import merkle, notes, tiles, vkeys
from registry.tlog.proof_files import ProofFile
from registry.tlog.witnessing import Request

NOON = 1_700_000_000  # seconds since 1970


def witness_key(name: str = "witness.example/w1", seed: int = 7, kind: int = vkeys.COSIGNATURE) -> vkeys.Signer:
    return vkeys.Signer(name, bytes([seed]) * 32, kind)


class Tree:
    def __init__(self, leaves):
        self.entries = list(leaves)
        self.hashes = [merkle.leaf_hash(leaf) for leaf in self.entries]

    def subtree(self, level, index):
        return merkle.root_of(self.hashes[index << level : (index + 1) << level])

    def root(self, size):
        return merkle.root_of(self.hashes[:size])

    def inclusion(self, index, size):
        return merkle.inclusion_proof(index, size, self.subtree)

    def consistency(self, old, new):
        return merkle.consistency_proof(old, new, self.subtree) if old else []


class Log(Tree):
    """A log that signs its own heads."""

    def __init__(self, leaves, origin="example.com/log", seed=1):
        super().__init__(leaves)
        self.origin = origin
        self.signer = vkeys.Signer(origin, bytes([seed]) * 32)

    @classmethod
    def of(cls, size, word="leaf", **more):
        return cls([f"{word} {number}".encode() for number in range(size)], **more)

    def checkpoint(self, size=None):
        size = len(self.entries) if size is None else size
        return notes.Checkpoint(self.origin, size, self.root(size))

    def note(self, size=None, *others, time=NOON):
        return notes.sign(str(self.checkpoint(size)), self.signer, *others, time=time)

    def request(self, old, new):
        return str(Request(old, self.consistency(old, new), self.note(new)))

    def proof_file(self, index, *others):
        return str(ProofFile(index, self.inclusion(index, len(self.entries)), self.note(None, *others)))

    def policy(self, *witnesses, quorum="all"):
        lines = [f"log {self.signer.verifier}"]
        lines += [f"witness w{number} {key.verifier}" for number, key in enumerate(witnesses, 1)]
        members = " ".join(f"w{number}" for number, _ in enumerate(witnesses, 1))
        lines += [f"group ours {quorum} {members}", "quorum ours"] if witnesses else ["quorum none"]
        return "\n".join([*lines, ""]).encode()

    def publish(self, folder: Path, *others) -> Path:
        levels = [self.hashes]
        while len(levels[-1]) >= merkle.TILE_WIDTH:
            below = levels[-1]
            full = range(len(below) // merkle.TILE_WIDTH)
            levels.append([merkle.root_of(below[n * 256 : (n + 1) * 256]) for n in full])
        for tile in tiles.of_size(len(self.entries)):
            part = slice(tile.number * 256, tile.number * 256 + tile.width)
            path = folder / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            bundle = tile.level == tiles.ENTRIES
            path.write_bytes(tiles.bundle(self.entries[part]) if bundle else b"".join(levels[tile.level][part]))
        (folder / "checkpoint").write_text(self.note(None, *others))
        return folder


def flipped(data: bytes, bit: int) -> bytes:
    """Return the bytes with one bit changed."""
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
