"""A reader of a published log, who has its files and its keys: nothing of the database."""

from collections.abc import Callable
from pathlib import Path

from registry.refusals import Mismatch
from registry.tlog import directory, merkle, tiles
from registry.tlog.checkpoints import Checkpoint
from registry.tlog.notes import Note


class Reader:
    """Follows one log: each head it sees must extend the one before, and hold any entry under its proof."""

    def __init__(self, folder: Path, keys: list) -> None:
        self.folder, self.keys = folder, keys
        self.seen: Checkpoint | None = None
        self.heads = self.proved = 0

    def look(self, draw: Callable[[int], int]) -> Checkpoint | None:
        """Read the newest head, check it against the last one, and prove the entry that `draw` names out of all."""
        try:
            note = Note.parse((self.folder / "checkpoint").read_bytes())
        except FileNotFoundError:
            return None
        if not any(note.signed_by(key) for key in self.keys):
            raise Mismatch("The published checkpoint is not signed by the log.")
        head = Checkpoint.parse(note.text)
        tree = _Tiles(self.folder, head.size)
        if self.seen and self.seen.size:
            proof = merkle.consistency_proof(self.seen.size, head.size, tree.subtree)
            merkle.verify_consistency(self.seen.size, self.seen.root, head.size, head.root, proof)
        if self.seen is None or head.size > self.seen.size:
            self.heads += 1
        self.seen = head
        if head.size:
            self._prove(draw(head.size), head, tree)
        return head

    def _prove(self, index: int, head: Checkpoint, tree: "_Tiles") -> None:
        number, place = divmod(index, merkle.TILE_WIDTH)
        bundle = tiles.Tile(tiles.ENTRIES, number, min(merkle.TILE_WIDTH, head.size - number * merkle.TILE_WIDTH))
        entry = tiles.unbundle(directory.read(self.folder, bundle))[place]
        proof = merkle.inclusion_proof(index, head.size, tree.subtree)
        merkle.verify_inclusion(merkle.leaf_hash(entry), index, head.size, proof, head.root)
        self.proved += 1


class _Tiles:
    """The subtrees of a tree of one size, out of its published tiles."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size

    def subtree(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, merkle.TILE_HEIGHT)
        start = index << height
        number, offset = divmod(start, merkle.TILE_WIDTH)
        width = min(merkle.TILE_WIDTH, (self.size >> tile_level * merkle.TILE_HEIGHT) - number * merkle.TILE_WIDTH)
        row = tiles.split(directory.read(self.folder, tiles.Tile(tile_level, number, width)))
        return merkle.root_of(row[offset : offset + (1 << height)])
