"""The sequencer: gives committed entries their places in a log, grows the tree, signs and publishes checkpoints.

One process does this (an advisory lock makes a second one wait). Entries are taken in the order (transaction,
id) and only below the oldest transaction still running, so that none can appear behind the cursor afterwards.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from registry import anchor, keys, proofs
from registry.ledger import LOGS
from registry.models import Checkpoint, Leaf, Tile, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes

BATCH = 8192
_LOCK = 0x436F756E74657273  # "Counters" in ASCII: the advisory lock of the one sequencer

STRETCH = 20_000  # ids that one look behind the cursor covers

_PENDING = """
SELECT e.id, e.bytes, e.leaf, e.xid::text FROM registry_ledgerentry e
WHERE e.log = %(log)s AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
  AND (e.xid, e.id) > (%(xid)s::text::xid8, %(id)s)
  AND NOT EXISTS (SELECT 1 FROM registry_leaf l WHERE l.entry_id = e.id)
ORDER BY e.xid, e.id LIMIT %(limit)s
"""
_BEHIND = """
SELECT e.id, e.bytes, e.leaf, e.xid::text FROM registry_ledgerentry e
WHERE e.log = %(log)s AND e.id > %(start)s AND e.id <= %(end)s AND (e.xid, e.id) <= (%(xid)s::text::xid8, %(id)s)
  AND NOT EXISTS (SELECT 1 FROM registry_leaf l WHERE l.entry_id = e.id)
ORDER BY e.xid, e.id LIMIT %(limit)s
"""
# Not the entry placed last: a sweep may have placed an old one.
_GREATEST = """
SELECT e.xid::text, e.id FROM registry_ledgerentry e
WHERE e.log = %s AND EXISTS (SELECT 1 FROM registry_leaf l WHERE l.entry_id = e.id)
ORDER BY e.xid DESC, e.id DESC LIMIT 1
"""
Pending = tuple[int, bytes, bytes, str]  # id, bytes, the leaf hash that the database computed, transaction


def hold_lock() -> None:
    """Wait until this process is the one sequencer; the lock ends with the database session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])


@dataclass
class Sequencer:
    """The state of one log between batches: its key, the right edge of its tree, how far it is placed.

    `cursor`: transaction and id of the greatest placed entry; `swept`: the id up to which was looked behind it.
    """

    log: str
    signer: notes.Signer
    peaks: merkle.Peaks
    published: notes.Checkpoint
    cursor: tuple[int, int]
    swept: int = 0

    @classmethod
    def open(cls, log: str) -> "Sequencer":
        """Take up a log where the database says it stands; Mismatch unless that extends what was published."""
        published = anchor.demanded(log)
        head = Tree.objects.filter(log=log).order_by("-size").first()
        size = head.size if head else 0
        tree = proofs.StoredTree(log)
        peaks = merkle.Peaks(size, [tree.subtree(*place) for place in merkle.peaks_at(size)])
        if head and peaks.root() != bytes(head.root):
            raise Mismatch(f"The {log} log is damaged: its {size} entries do not hash to its head. Run verify_ledger.")
        _demand_extension(published, peaks, tree)
        path = Path(settings.LOG_KEY_FILE).with_suffix(f".{log}.key") if settings.LOG_KEY_FILE else ""
        opened = cls(log, keys.signer(str(path)), peaks, published, _greatest(log))
        if anchor.newest(log) is None:  # a new log: from its first entry on, a missing file means a lost one
            anchor.swap(log, None, notes.sign(str(published), opened.signer))
        return opened

    def advance(self, now: datetime, *, sweep: bool = False) -> int:
        """Sequence what is pending, sign the new head, publish it; return how many entries were placed.

        `sweep` looks first at one more stretch behind the cursor, for what an administrator's hand may have slipped in.
        """
        before = self.peaks.size, list(self.peaks.hashes)
        pending = (self._behind() if sweep else []) or self._pending()
        try:
            with transaction.atomic():
                placed = self._place(pending, now)
        except BaseException:
            self.peaks = merkle.Peaks(*before)
            raise
        if pending:
            self.cursor = max(self.cursor, (int(pending[-1][3]), pending[-1][0]))
        self._sign(now)
        return placed

    def _pending(self) -> list[Pending]:
        return self._read(_PENDING)

    def _behind(self) -> list[Pending]:
        """Return what has no place in the next stretch of ids; after the last stretch comes the first again."""
        end = self.swept + STRETCH
        found = self._read(_BEHIND, start=self.swept, end=end)
        if len(found) < BATCH:
            self.swept = end if end < self.cursor[1] else 0
        return found

    def _read(self, sql: str, **bounds: int) -> list[Pending]:
        xid, last = self.cursor
        with connection.cursor() as cursor:
            cursor.execute(sql, {"log": self.log, "xid": xid, "id": last, "limit": BATCH, **bounds})
            return [(row[0], bytes(row[1]), bytes(row[2]), row[3]) for row in cursor.fetchall()]

    def _place(self, pending: list[Pending], now: datetime) -> int:
        if not pending:
            return 0
        first = self.peaks.size
        hashes = []
        for entry, data, stored, _ in pending:
            leaf = merkle.leaf_hash(data)
            if leaf != stored:
                raise Mismatch(f"Entry {entry} of the {self.log} log does not hash to what the database computed.")
            hashes.append(leaf)
            self.peaks.add(leaf)
        Leaf.objects.bulk_create(
            Leaf(log=self.log, index=first + place, entry_id=row[0]) for place, row in enumerate(pending)
        )
        self._fill_tiles(first, hashes)
        Tree.objects.create(log=self.log, size=self.peaks.size, previous=first, root=self.peaks.root(), at=now)
        return len(pending)

    def _fill_tiles(self, first: int, hashes: list[bytes], level: int = 0) -> None:
        """Store each tile that this batch completed, from the leaves upwards."""
        width = merkle.TILE_WIDTH
        edge = first % width
        row = [*(proofs.StoredTree(self.log).row(level, first // width)[:edge] if edge else []), *hashes]
        roots = []
        for start in range(0, len(row) - width + 1, width):
            tile = row[start : start + width]
            number = first // width + start // width
            roots.append(merkle.root_of(tile))
            Tile.objects.create(log=self.log, level=level, number=number, hashes=b"".join(tile), root=roots[-1])
        if roots:
            self._fill_tiles(first // width, roots, level + 1)

    def _sign(self, now: datetime) -> None:
        """Sign and publish the newest head unless that is done; nothing older is ever signed again.

        Published before it is put on record: after a crash in between, the same note is published again.
        """
        head = Tree.objects.filter(log=self.log).order_by("-size").first()
        if head is None or Checkpoint.objects.filter(tree=head).exists():
            return
        stands = notes.Checkpoint(proofs.origin(self.log), self.peaks.size, self.peaks.root())
        if (head.size, bytes(head.root)) != (stands.size, stands.root):
            raise Mismatch(
                f"The newest head of the {self.log} log is not the one this sequencer made. Run verify_ledger."
            )
        note = notes.sign(str(stands), self.signer)
        anchor.swap(self.log, self.published, note)
        self.published = stands
        Checkpoint.objects.create(tree=head, note=note, signed_at=now)


def _greatest(log: str) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(_GREATEST, [log])
        row = cursor.fetchone()
    return (int(row[0]), row[1]) if row else (0, 0)


def _demand_extension(published: notes.Checkpoint, peaks: merkle.Peaks, tree: proofs.StoredTree) -> None:
    if published.size > peaks.size:
        raise anchor.cut(published, peaks.size)
    proof = merkle.consistency_proof(published.size, peaks.size, tree.subtree) if published.size else []
    try:
        merkle.verify_consistency(published.size, published.root, peaks.size, peaks.root(), proof)
    except Mismatch as mismatch:
        raise anchor.rewritten(published) from mismatch


def open_all() -> list[Sequencer]:
    """Take up every log."""
    return [Sequencer.open(log) for log in LOGS]
