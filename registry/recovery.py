"""Take back into a database that was rolled back the entries that its published log still holds.

The bundles are the log's own backup. What an entry tells of (decisions, signatures, packages) has a backup of its own:
recovery brings back the record of it, not the thing.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson
from django.db import connection, transaction

from registry import anchor, canonical, epochs, growing, ledger, proofs
from registry.ledger import Event
from registry.models import Checkpoint, LedgerEntry, Tree
from registry.refusals import Invalid, Mismatch
from registry.tlog import merkle, tiles, writers

BATCH = 8192
_TEXTS = {"event": 60, "subject": 100, "actor": 100}  # characters that the columns hold
# Epoch 0 sorts before every entry that still waits: those keep their turn. Only the owner may name an epoch or a time.
_INSERT = """
INSERT INTO registry_ledgerentry (uuid, log, event, subject, actor, at, bytes, epoch)
VALUES (%s, %s, %s, %s, %s, %s, %s, 0) ON CONFLICT (uuid) DO NOTHING
"""


def recover(*, log: str, published: Path, by: str, now: datetime) -> tuple[int, int]:
    """Put back the entries between the database's head and the anchor's (as the owner of the tables).

    `published`: the folder of the published log, of any copy of it. Returns the sizes before and after. Nothing is
    kept unless the bundles hold exactly the log that the anchor was signed over, and the database its beginning.
    """
    anchored = anchor.newest(log)
    head = Tree.objects.filter(log=log).order_by("-size").first()
    size = head.size if head else 0
    if anchored is None or anchored.size <= size:
        raise Invalid(f"The {log} log was not rolled back: the database holds all {size} entries its anchor speaks of.")
    entries = list(_bundled(published, size, anchored.size))
    peaks = merkle.Peaks(size, [proofs.StoredTree(log).subtree(*place) for place in merkle.peaks_at(size)])
    if head and peaks.root() != bytes(head.root):
        raise Mismatch(
            f"The {log} log is damaged before entry {size} too: restore a backup that verifies, then recover."
        )
    counters = writers.Writers(size=size, recall=partial(growing.last_number, log))
    with transaction.atomic():
        for start in range(0, len(entries), BATCH):
            rows = _insert(log, size + start, entries[start : start + BATCH], now)
            growing.grow(log, peaks, rows, counters, now)
        if peaks.root() != anchored.root:
            raise Mismatch(
                f"The bundles in {published} do not hold the entries that the {log} log's anchor was signed over. "
                "Nothing was changed. Try another copy of the published log."
            )
        newest = Tree.objects.get(log=log, size=anchored.size)
        Checkpoint.objects.create(tree=newest, note=anchor.note(log) or "", signed_at=now)
        epoch = epochs.begin(now)
        facts = {"from": size, "to": anchored.size, "root": anchored.root.hex(), "epoch": epoch.number}
        ledger.append(Event.LOG_RECOVERED, subject=f"log:{log}", actor=by, at=now, facts=facts, log=log)
    return size, anchored.size


def _bundled(published: Path, start: int, end: int) -> Iterator[bytes]:
    """Yield the entries of the published bundles from one index to another."""
    width = merkle.TILE_WIDTH
    for number in range(start // width, -(-end // width)):
        tile = tiles.Tile(tiles.ENTRIES, number, min(width, end - number * width))
        paths = [published / tile.path, published / tile.full.path]
        found = next((path for path in paths if path.exists()), None)
        if found is None:
            raise Invalid(f"{paths[0]} is missing: this copy of the published log does not reach to entry {end}.")
        yield from tiles.unbundle(found.read_bytes())[max(start - number * width, 0) : tile.width]


def _insert(log: str, first: int, entries: list[bytes], now: datetime) -> list[tuple[int, bytes]]:
    """Enter bytes again, or find the entry that a backup holds already without its place; return id and bytes."""
    said = [_columns(data, f"{log}/{index}", now) for index, data in enumerate(entries, first)]
    named = [(columns[0], log, *columns[1:], data) for columns, data in zip(said, entries, strict=True)]
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, named)
    held = LedgerEntry.objects.in_bulk([identity for identity, *_ in said], field_name="uuid")
    rows = [held[identity] for identity, *_ in said]
    if any(bytes(row.bytes) != data for row, data in zip(rows, entries, strict=True)):
        raise Mismatch(
            f"The database holds another entry of the {log} log under the same identifier. Nothing was changed."
        )
    return [(row.pk, data) for row, data in zip(rows, entries, strict=True)]


def _columns(data: bytes, place: str, now: datetime) -> tuple[UUID, str, str, str, datetime]:
    """Return identifier, event, subject, actor and moment of an entry, as columns hold them.

    The bytes come back whatever they are, or no root could be reached: of what is no entry of ours, the columns get
    what they can hold, the moment of recovery, and an identifier made of its place and bytes.
    """
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        said = None
    said = said if isinstance(said, dict) else {}
    event, subject, actor = (str(said.get(name, "")).replace("\0", "")[:longest] for name, longest in _TEXTS.items())
    return _identity(said.get("id"), data, place), event, subject, actor, _moment(said.get("at"), now)


def _identity(said: object, data: bytes, place: str) -> UUID:
    try:
        return UUID(str(said))
    except ValueError:
        return uuid5(NAMESPACE_OID, f"{place}/{canonical.sha256(data)}")


def _moment(said: object, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError:
        return now
    return moment if moment.tzinfo else now
