"""Proofs out of the stored tree: inclusion of an entry, consistency of two heads."""

from collections.abc import Mapping

from django.conf import settings

from registry import keys
from registry.models import Checkpoint, Leaf, LedgerEntry, Tile
from registry.refusals import Unavailable, Unknown
from registry.tlog import merkle, notes, proof_files, strict


class StoredTree:
    """Complete subtrees of one log, read from tiles where they are complete and from leaves at the right edge."""

    def __init__(self, log: str) -> None:
        self.log = log
        self._rows: dict[tuple[int, int], list[bytes]] = {}

    def subtree(self, level: int, index: int) -> bytes:
        """Return the hash of the complete subtree of 2**level leaves at this position."""
        tile_level, height = divmod(level, merkle.TILE_HEIGHT)
        start = index << height
        row = self.row(tile_level, start // merkle.TILE_WIDTH)
        offset = start % merkle.TILE_WIDTH
        return merkle.root_of(row[offset : offset + (1 << height)])

    def row(self, level: int, number: int) -> list[bytes]:
        """Return the hashes of a tile, complete or as far as it has grown."""
        if (level, number) not in self._rows:
            self._rows[level, number] = self._read(level, number)
        return self._rows[level, number]

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` leaves."""
        return merkle.Peaks(size, [self.subtree(*place) for place in merkle.peaks_at(size)]).root()

    def _read(self, level: int, number: int) -> list[bytes]:
        tile = Tile.objects.filter(log=self.log, level=level, number=number).first()
        if tile:
            data = bytes(tile.hashes)
            return [data[i : i + 32] for i in range(0, len(data), 32)]
        first = number * merkle.TILE_WIDTH
        span = (first, first + merkle.TILE_WIDTH - 1)
        if level == 0:
            entries = LedgerEntry.objects.filter(leaf_row__log=self.log, leaf_row__index__range=span)
            return [
                merkle.leaf_hash(bytes(data))
                for data in entries.order_by("leaf_row__index").values_list("bytes", flat=True)
            ]
        below = Tile.objects.filter(log=self.log, level=level - 1, number__range=span).order_by("number")
        return [bytes(root) for root in below.values_list("root", flat=True)]


def inclusions(entries: Mapping[str, LedgerEntry], checkpoint: Checkpoint) -> dict[str, str]:
    """Return the tlog-proof file of each entry (by the caller's name) under one checkpoint of their log.

    Unavailable while one of them has no place under that checkpoint yet.
    """
    size, root, note = checkpoint.tree.size, bytes(checkpoint.tree.root), checkpoint.cosigned
    tree = StoredTree(checkpoint.tree.log)
    places = dict(Leaf.objects.filter(entry__in=entries.values()).values_list("entry", "index"))
    result = {}
    for name, entry in entries.items():
        index = places.get(entry.pk, size)
        if index >= size:
            raise Unavailable("An entry has no place in the log yet. The sequencer gives it one within seconds.")
        proof = merkle.inclusion_proof(index, size, tree.subtree)
        merkle.verify_inclusion(merkle.leaf_hash(bytes(entry.bytes)), index, size, proof, root)
        result[name] = str(proof_files.ProofFile(index, proof, note))
    return result


def peaks(log: str, size: int) -> list[bytes]:
    """Return the roots of the complete subtrees that a log of this size consists of, the largest first.

    With them and the entries from there on, anybody can recompute every later head.
    """
    tree = StoredTree(log)
    return [tree.subtree(*place) for place in merkle.peaks_at(size)]


def growth(old: int, checkpoint: Checkpoint) -> str:
    """Return the proof that a head extends the log's first `old` entries, as the body of a request to a witness.

    (c2sp.org/tlog-witness: `old <size>`, the consistency proof of RFC 6962, an empty line, the checkpoint.)
    """
    tree = StoredTree(checkpoint.tree.log)
    proof = merkle.consistency_proof(old, checkpoint.tree.size, tree.subtree) if old else []
    return f"old {old}\n{strict.encoded(proof)}\n{checkpoint.cosigned}"


def entry_at(log: str, index: int) -> LedgerEntry:
    """Return the entry at a place of a log."""
    leaf = Leaf.objects.filter(log=log, index=index).select_related("entry").first()
    if leaf is None:
        raise Unknown(f"The {log} log has no entry {index}.")
    return leaf.entry


def origin(log: str) -> str:
    """Return the name a log signs under."""
    return f"{settings.LOG_ORIGIN}/{log}"


def verifier(log: str) -> notes.Verifier:
    """Return the public key of a log."""
    return keys.verifier(settings.LOG_VKEY_FILE.with_suffix(f".{log}.vkey"))
