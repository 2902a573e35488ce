"""The published log: files in the layout of c2sp.org/tlog-tiles, which anybody may copy, cache and check.

Tiles and entry bundles never change; the checkpoint is replaced last, when all it speaks of is there. Nothing here is
trusted afterwards: what was published is compared with what the database and the anchor say.
"""

import shutil
from pathlib import Path

from django.conf import settings

from registry import durable, proofs
from registry.models import LedgerEntry
from registry.refusals import Mismatch
from registry.tlog import merkle, notes, tiles
from registry.tlog.checkpoints import Checkpoint as Head

STRETCH = 64 * merkle.TILE_WIDTH  # entries whose files are written together


def folder(log: str) -> Path:
    """Return the folder of a published log: a web server serves the one above as `/log/`."""
    return settings.PUBLISHED_LOG / proofs.origin(log)


def note(log: str) -> str | None:
    """Return the published checkpoint of a log as it stands; None where nothing is published."""
    try:
        return (folder(log) / "checkpoint").read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise _foreign(log) from error


def newest(log: str) -> Head | None:
    """Return the published head of a log, its signature verified; None where nothing is published."""
    text = note(log)
    try:
        return None if text is None else notes.open_checkpoint(text, proofs.verifier(log))
    except Mismatch as error:
        raise _foreign(log) from error


def _foreign(log: str) -> Mismatch:
    return Mismatch(
        f"The published checkpoint of the {log} log ({folder(log)}) was not written by its sequencer. Put the genuine "
        "file back, or take it away: then the log is published anew."
    )


def files(log: str, old: int, new: int) -> None:
    """Write every tile and entry bundle of the tree of `new` leaves that the tree of `old` has not."""
    for start in [old, *range(old - old % STRETCH + STRETCH, new, STRETCH)]:
        end = min(start - start % STRETCH + STRETCH, new)
        tree = proofs.StoredTree(log)
        durable.write_new(
            {
                folder(log) / tile.path: _bundle(log, tile)
                if tile.level == tiles.ENTRIES
                else b"".join(tree.row(tile.level, tile.number)[: tile.width])
                for tile in tiles.new_between(start, end)
            }
        )


def _bundle(log: str, tile: tiles.Tile) -> bytes:
    first = tile.number * merkle.TILE_WIDTH
    rows = LedgerEntry.objects.filter(leaf_row__log=log, leaf_row__index__range=(first, first + tile.width - 1))
    return tiles.bundle(bytes(data) for data in rows.order_by("leaf_row__index").values_list("bytes", flat=True))


def checkpoint(log: str, text: str, head: Head) -> None:
    """Publish a checkpoint, unless a later one is published already; partial files that it made complete go."""
    with durable.locked(folder(log) / ".lock"):
        if note(log) == text:
            return
        found = newest(log)
        if found and (found.size > head.size or (found.size == head.size and found != head)):
            raise Mismatch(f"Another checkpoint of the {log} log ({found.size}) is published: another sequencer works.")
        durable.write(folder(log) / "checkpoint", text.encode())
    for tile in tiles.new_between(found.size if found else 0, head.size):
        if tile.full == tile:
            full = folder(log) / tile.path
            shutil.rmtree(full.with_name(f"{full.name}.p"), ignore_errors=True)
