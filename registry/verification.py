"""Recompute a whole log from its stored bytes and name the first thing that is not as signed."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from registry import anchor, proofs
from registry.models import LedgerEntry, Tile, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes

SIGNED_WITHIN = timedelta(seconds=10)  # heads that follow each other fast are not each signed at once
_ENTRIES = """
SELECT l.index, e.bytes, e.event, e.subject, e.actor, e.uuid::text,
       convert_from(e.bytes, 'UTF8')::jsonb ->> 'event', convert_from(e.bytes, 'UTF8')::jsonb ->> 'subject',
       convert_from(e.bytes, 'UTF8')::jsonb ->> 'actor', convert_from(e.bytes, 'UTF8')::jsonb ->> 'id'
FROM registry_leaf l JOIN registry_ledgerentry e ON e.id = l.entry_id AND e.log = l.log
WHERE l.log = %s ORDER BY l.index
"""


def verify(log: str) -> int:
    """Check every entry, head and signature of a log, and that it extends the published checkpoint.

    Returns its size, or raises Mismatch naming the first thing that is not as signed.
    """
    published = anchor.demanded(log)
    heads = {head.size: head for head in Tree.objects.filter(log=log).select_related("checkpoint")}
    newest = heads[max(heads)] if heads else None
    peaks = merkle.Peaks()
    for peaks in _grown(log):
        if peaks.size in heads:
            _check_head(log, heads.pop(peaks.size), peaks.root())
        if peaks.size == published.size and peaks.root() != published.root:
            raise anchor.rewritten(published)
    if heads:
        raise Mismatch(f"The {log} log ends at entry {peaks.size}, but heads up to {max(heads)} are on record.")
    if published.size > peaks.size:
        raise anchor.cut(published, peaks.size)
    late = Tree.objects.filter(log=log, checkpoint=None, at__lt=Now() - SIGNED_WITHIN).order_by("-size").first()
    if late and late == newest:
        raise Mismatch(f"The newest head of the {log} log ({late.size}) is not signed. The sequencer signs at once.")
    _check_tiles(log)
    return peaks.size


def _grown(log: str) -> Iterator[merkle.Peaks]:
    """Yield the tree as it stands after each entry, recomputed from the entries' bytes alone."""
    peaks = merkle.Peaks()
    for index, row in enumerate(_entries(log)):
        if row[0] != index:
            raise Mismatch(f"Entry {index} of the {log} log is missing.")
        if row[2:6] != row[6:10]:
            raise Mismatch(f"Entry {index} of the {log} log: its columns do not repeat what its bytes say.")
        peaks.add(merkle.leaf_hash(bytes(row[1])))
        yield peaks


def _entries(log: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, [log])
        while rows := cursor.fetchmany(5000):
            yield from rows


def _check_head(log: str, head: Tree, root: bytes) -> None:
    if bytes(head.root) != root:
        raise Mismatch(f"The {log} log: its first {head.size} entries do not hash to the head signed over them.")
    checkpoint = getattr(head, "checkpoint", None)
    if checkpoint:
        found = notes.open_checkpoint(checkpoint.note, proofs.verifier(log))
        if (found.origin, found.size, found.root) != (proofs.origin(log), head.size, root):
            raise Mismatch(f"The checkpoint of the {log} log at {head.size} speaks of another tree.")


def _check_tiles(log: str) -> None:
    """Hold every stored tile against the level below it; those of the leaves against the entries themselves."""
    below: dict[tuple[int, int], bytes] = {}
    for tile in Tile.objects.filter(log=log).order_by("level", "number").iterator(500):
        first = tile.number * merkle.TILE_WIDTH
        if tile.level == 0:
            rows = LedgerEntry.objects.filter(leaf_row__log=log, leaf_row__index__range=(first, first + 255))
            made = rows.order_by("leaf_row__index").values_list("bytes", flat=True)
            hashes = [merkle.leaf_hash(bytes(data)) for data in made]
        else:
            hashes = [below.get((tile.level - 1, first + place), b"") for place in range(merkle.TILE_WIDTH)]
        root = merkle.root_of(hashes)
        if (bytes(tile.hashes), bytes(tile.root)) != (b"".join(hashes), root):
            raise Mismatch(f"Tile {tile.number} of level {tile.level} of the {log} log is not made of its entries.")
        below[tile.level, tile.number] = root
