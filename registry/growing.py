"""Let a log's tree grow by entries whose order is settled: their places, the tiles they complete, the new head.

Used by the sequencer for what was just committed, and by recovery for what is taken back from the published log.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from registry import proofs
from registry.models import Leaf, Tile, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, writers

_LEAVES = "COPY registry_leaf (log, index, entry_id, writer, number) FROM STDIN"


def grow(
    log: str, peaks: merkle.Peaks, rows: Sequence[tuple[int, bytes]], counters: writers.Writers, now: datetime
) -> list[writers.Gap | writers.Fault]:
    """Append entries (pairs of id and bytes) to the tree whose right edge is `peaks`, in the caller's transaction.

    Returns what is wrong with their writers' numbers. Mismatch, before anything is committed, when the root computed
    anew from what was stored is not the one computed on the way.
    """
    first = peaks.size
    hashes = [merkle.leaf_hash(data) for _, data in rows]
    for leaf in hashes:
        peaks.add(leaf)
    wrong = _put_leaves(log, first, rows, counters)
    _fill_tiles(log, first, hashes)
    root = peaks.root()
    if proofs.StoredTree(log).root(peaks.size) != root:
        raise Mismatch(f"The {log} log computed anew from what was stored has another root: nothing of it is kept.")
    Tree.objects.create(log=log, size=peaks.size, previous=first, root=root, at=now)
    return wrong


def _put_leaves(
    log: str, first: int, rows: Sequence[tuple[int, bytes]], counters: writers.Writers
) -> list[writers.Gap | writers.Fault]:
    taken = [counters.take(data) for _, data in rows]  # this may ask the database, which it cannot during a COPY
    with connection.cursor() as cursor, cursor.copy(_LEAVES) as copy:
        for place, ((entry, _), (claim, _)) in enumerate(zip(rows, taken, strict=True)):
            writer, number = _storable(claim)
            copy.write_row((log, first + place, entry, writer, number))
    return [item for _, wrong in taken for item in wrong]


def _storable(claim: tuple[str, int] | None) -> tuple[str, int | None]:
    """Return a claim as columns hold it; what no writer of ours says is kept as nobody's."""
    if claim is None or not 0 < claim[1] < 1 << 63:
        return "", None
    return claim


def last_number(log: str, writer: str) -> int:
    """Return the number of a writer's newest entry in a log; 0 when it has none."""
    numbers = Leaf.objects.filter(log=log, writer=writer, number__isnull=False).order_by("-number")
    return numbers.values_list("number", flat=True).first() or 0


def _fill_tiles(log: str, first: int, hashes: list[bytes], level: int = 0) -> None:
    """Store each tile that these hashes completed, from the leaves upwards."""
    width = merkle.TILE_WIDTH
    edge = first % width
    row = [*(proofs.StoredTree(log).row(level, first // width)[:edge] if edge else []), *hashes]
    made = []
    for start in range(0, len(row) - width + 1, width):
        tile = row[start : start + width]
        number = first // width + start // width
        made.append(Tile(log=log, level=level, number=number, hashes=b"".join(tile), root=merkle.root_of(tile)))
    if made:
        Tile.objects.bulk_create(made)
        _fill_tiles(log, first // width, [bytes(tile.root) for tile in made], level + 1)
