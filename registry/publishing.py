"""The published log: files in the layout of c2sp.org/tlog-tiles, which anybody may copy, cache and check.

Tiles and entry bundles never change; the checkpoint is replaced last, when all it speaks of is there. Nothing here is
trusted afterwards: what was published is compared with what the database and the anchor say.
"""

import shutil
from collections.abc import Iterator
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


def files(log: str, old: Head, new: Head) -> None:
    """Write every tile and entry bundle of the new tree that the old one has not.

    Mismatch, and nothing more is written, when what the database holds now is not what the new head was made of.
    """
    peaks = merkle.Peaks(old.size, [proofs.StoredTree(log).subtree(*place) for place in merkle.peaks_at(old.size)])
    stretches = list(_stretches(old.size, new.size))
    for start, end in stretches:
        for data in _entries(log, start, end):
            peaks.add(merkle.leaf_hash(data))
    if peaks.root() != new.root:
        raise _changed(log, new)
    for start, end in stretches:
        durable.write_new(_files(log, start, end, new))


def _stretches(old: int, new: int) -> Iterator[tuple[int, int]]:
    for start in [old, *range(old - old % STRETCH + STRETCH, new, STRETCH)]:
        yield start, min(start - start % STRETCH + STRETCH, new)


def _files(log: str, start: int, end: int, new: Head) -> dict[Path, bytes]:
    """Return the files of a stretch, each held against the others: entries, their hashes, the tiles above."""
    width, tree = merkle.TILE_WIDTH, proofs.StoredTree(log)
    first = start - start % width
    entries = list(_entries(log, first, end))
    made = {}
    for tile in tiles.new_between(start, end):
        row = tree.row(max(tile.level, 0), tile.number)[: tile.width]
        if tile.level == tiles.ENTRIES:
            held = entries[tile.number * width - first : tile.number * width - first + tile.width]
            made[folder(log) / tile.path] = tiles.bundle(held)
            sound = [merkle.leaf_hash(data) for data in held] == row
        else:
            made[folder(log) / tile.path] = b"".join(row)
            above = tree.row(tile.level + 1, tile.number // width) if tile.full == tile else []
            sound = not above or above[tile.number % width] == merkle.root_of(row)
        if not sound:
            raise _changed(log, new)
    return made


def _entries(log: str, start: int, end: int) -> Iterator[bytes]:
    rows = LedgerEntry.objects.filter(leaf_row__log=log, leaf_row__index__range=(start, end - 1))
    for data in rows.order_by("leaf_row__index").values_list("bytes", flat=True).iterator(merkle.TILE_WIDTH):
        yield bytes(data)


def _changed(log: str, new: Head) -> Mismatch:
    return Mismatch(
        f"The entries or tiles of the {log} log in the database are not those its head of {new.size} was made of: they "
        "were rewritten before they were published. Nothing of them is published. Run verify_ledger, and restore a "
        "backup that verifies."
    )


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
