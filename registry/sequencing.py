"""The sequencer: gives committed entries their places in a log, grows the tree, vouches for its head, publishes it.

One process does this (an advisory lock makes a second one stand by). Entries are taken in the order (epoch,
transaction, id) and only below the oldest transaction still running, so that none can appear behind the cursor
afterwards. Each step may be interrupted before or after it took effect: the next start goes on from there.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from registry import anchor, breaches, cosigning, epochs, growing, keys, proofs, publishing
from registry.ledger import BEGINNING, LOGS, Place
from registry.models import Checkpoint, Leaf, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes, writers
from registry.tlog.checkpoints import Checkpoint as Head

BATCH = 8192
STRETCH = 20_000  # ids that one look behind the cursor covers
CLOCK_STEP = timedelta(seconds=5)  # how far a clock may be set back without anybody being asked
_LOCK = 0x436F756E74657273  # "Counters" in ASCII: the advisory lock of the one sequencer
_STANDBY = 0.5  # seconds between two tries for the lock
_LOOK = 20  # tries between two looks at who holds it

# An entry of an earlier life of the database is settled whatever its transaction's number.
_PENDING = """
SELECT e.id, e.bytes, e.leaf, e.epoch, e.xid::text FROM registry_ledgerentry e
WHERE e.log = %(log)s AND (e.epoch < %(now)s OR e.xid < pg_snapshot_xmin(pg_current_snapshot()))
  AND (e.epoch, e.xid, e.id) > (%(epoch)s, %(xid)s::text::xid8, %(id)s)
  AND NOT EXISTS (SELECT 1 FROM registry_leaf l WHERE l.entry_id = e.id)
ORDER BY e.epoch, e.xid, e.id LIMIT %(limit)s
"""
_BEHIND = """
SELECT e.id, e.bytes, e.leaf, e.epoch, e.xid::text FROM registry_ledgerentry e
WHERE e.log = %(log)s AND e.id > %(start)s AND e.id <= %(end)s
  AND (e.epoch, e.xid, e.id) <= (%(epoch)s, %(xid)s::text::xid8, %(id)s)
  AND NOT EXISTS (SELECT 1 FROM registry_leaf l WHERE l.entry_id = e.id)
ORDER BY e.epoch, e.xid, e.id LIMIT %(limit)s
"""
# Not the entry placed last: a sweep may have placed an old one.
_GREATEST = """
SELECT e.epoch, e.xid::text, e.id FROM registry_ledgerentry e
WHERE e.log = %s AND EXISTS (SELECT 1 FROM registry_leaf l WHERE l.entry_id = e.id)
ORDER BY e.epoch DESC, e.xid DESC, e.id DESC LIMIT 1
"""
_HOLDER = """
SELECT a.pid, a.usename, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = (%(lock)s >> 32)::oid AND l.objid = (%(lock)s & 4294967295)::oid
"""

logger = logging.getLogger(__name__)

Pending = tuple[int, bytes, bytes, int, str]  # id, bytes, the leaf hash that the database computed, epoch, transaction
Holder = tuple[int, str, str]  # session, role, the name that its program gave itself


def stand_by(stopping: Callable[[], bool]) -> bool:
    """Wait until this process is the one sequencer; False when it was told to stop before.

    The lock ends with the database session. Asked again and again rather than waited for: a waiting statement would
    keep its snapshot open. Every session of the database can take this lock, so who holds it is logged: whether that
    is a sequencer, its operator can see.
    """
    tries, told = 0, None
    while not stopping():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            if cursor.fetchone()[0]:
                return True
            tries += 1
            if tries % _LOOK == 0:
                told = _tell_holder(cursor, told)
        time.sleep(_STANDBY)
    return False


def _tell_holder(cursor: CursorWrapper, told: Holder | None) -> Holder | None:
    """Log who holds the sequencer's lock, unless it is who was told last; return it."""
    cursor.execute(_HOLDER, {"lock": _LOCK})
    found: Holder | None = cursor.fetchone()
    if found and found != told:
        logger.warning(
            "standing by: the sequencer's lock is held by session %s of role %s (%s). If that is no sequencer, end it "
            "with pg_terminate_backend(%s): nothing is sequenced before",
            *(*found, found[0]),
        )
    return found


@dataclass
class Sequencer:
    """The state of one log between batches.

    `peaks`: the right edge of its tree; `at`: the time of its head; `anchored`, `published`: the heads it vouched for
    and published last; `cursor`: the greatest placed entry; `swept`: the id up to which was looked behind the cursor.
    """

    log: str
    signers: list[notes.Signer]
    peaks: merkle.Peaks
    at: datetime | None
    anchored: Head
    published: Head
    cursor: Place
    epoch: int
    swept: int = 0
    settled: bool = False  # the newest head is published with every cosignature that can be had
    note: str = ""  # the anchored head as the log itself signed it
    text: str = ""  # the checkpoint as published last
    counters: writers.Writers = field(init=False)
    witnesses: cosigning.Witnesses = field(init=False)

    def __post_init__(self) -> None:
        """Take up the writers' counters and the witnesses."""
        self._recount()
        self.witnesses = cosigning.Witnesses(self.log)

    def _recount(self) -> None:
        """Ask the database anew for each writer's last number."""
        self.counters = writers.Writers(size=self.peaks.size, recall=partial(growing.last_number, self.log))

    @classmethod
    def open(cls, log: str) -> "Sequencer":
        """Take up a log where the database says it stands; Mismatch unless that extends anchor and published log."""
        epoch, anchored = epochs.demanded(), anchor.demanded(log)
        head = Tree.objects.filter(log=log).order_by("-size").first()
        size = head.size if head else 0
        tree = proofs.StoredTree(log)
        peaks = merkle.Peaks(size, [tree.subtree(*place) for place in merkle.peaks_at(size)])
        if head and peaks.root() != bytes(head.root):
            raise Mismatch(f"The {log} log is damaged: its {size} entries do not hash to its head. Run verify_ledger.")
        _demand_extension(anchored, peaks, tree)
        published = publishing.newest(log) or Head(proofs.origin(log), 0, merkle.EMPTY)
        if published.size > anchored.size or tree.root(published.size) != published.root:
            anchor.keep(published, peaks)
            raise anchor.forked(published, size)
        signers = keys.signers(Path(settings.LOG_KEY_FILE).with_suffix(f".{log}.key"))
        opened = cls(log, signers, peaks, head.at if head else None, anchored, published, _greatest(log), epoch)
        opened.note = anchor.note(log) or ""
        if not opened.note:  # a new log: from its first entry on, a missing file means a lost one
            opened.note = notes.sign(str(anchored), *signers)
            anchor.swap(log, None, opened.note)
        return opened

    def advance(self, now: datetime, *, sweep: bool = False, publish: bool = True) -> int:
        """Sequence what is pending, vouch for the new head, publish it; return how many entries were placed.

        `sweep` looks first at one more stretch behind the cursor, for what an administrator's hand may have slipped in.
        Without `publish` the head waits for the next time: heads that follow each other fast need not all be published.
        """
        self._demand_time(now)
        before = self.peaks.size, list(self.peaks.hashes)
        pending = (self._behind() if sweep else []) or self._pending()
        try:
            with transaction.atomic():
                self._place(pending, now)
        except BaseException:
            self.peaks = merkle.Peaks(*before)
            self._recount()
            raise
        if pending:
            self.settled = False
            self.cursor = max(self.cursor, (pending[-1][3], int(pending[-1][4]), pending[-1][0]))
            self.at = now
        if publish:
            self._publish(now)
        return len(pending)

    def _demand_time(self, now: datetime) -> None:
        """Refuse to go on under a clock that was set back, unless a person has answered for it."""
        if self.at is None or now >= self.at - CLOCK_STEP:
            return
        detail = (
            f"The clock was set back: the {self.log} log's head was made at {self.at:%Y-%m-%d %H:%M:%S} UTC, which is "
            "still to come. Nothing is signed until the clock is right, or this breach is answered: then the log goes "
            "on under the clock as it is."
        )
        if not breaches.answered(log=self.log, detail=detail):
            raise Mismatch(detail)

    def _pending(self) -> list[Pending]:
        return self._read(_PENDING, now=self.epoch)

    def _behind(self) -> list[Pending]:
        """Return what has no place in the next stretch of ids; after the last stretch comes the first again."""
        end = self.swept + STRETCH
        found = self._read(_BEHIND, start=self.swept, end=end)
        if len(found) < BATCH:
            self.swept = end if end < self.cursor[2] else 0
        if found and Leaf.objects.filter(log=self.log).count() != self.peaks.size:
            raise Mismatch(
                f"Places were taken away from entries of the {self.log} log: it has fewer than its head of "
                f"{self.peaks.size} says. Nothing is placed anew. Run verify_ledger; restore a backup that verifies."
            )
        return found

    def _read(self, sql: str, **bounds: int) -> list[Pending]:
        epoch, xid, last = self.cursor
        with connection.cursor() as cursor:
            cursor.execute(sql, {"log": self.log, "epoch": epoch, "xid": xid, "id": last, "limit": BATCH, **bounds})
            return [(row[0], bytes(row[1]), bytes(row[2]), row[3], row[4]) for row in cursor.fetchall()]

    def _place(self, pending: list[Pending], now: datetime) -> None:
        if not pending:
            return
        for entry, data, stored, *_ in pending:
            if merkle.leaf_hash(data) != stored:
                raise Mismatch(f"Entry {entry} of the {self.log} log does not hash to what the database computed.")
        rows = [(entry, data) for entry, data, *_ in pending]
        for wrong in growing.grow(self.log, self.peaks, rows, self.counters, now):
            breaches.of_writer(log=self.log, wrong=wrong, now=now)

    def _publish(self, now: datetime) -> None:
        """Vouch for the newest head and publish it unless that is done; nothing older is ever signed again.

        Put on record last: after a crash in between, the same note is published again.
        """
        head = Tree.objects.filter(log=self.log).order_by("-size").first()
        if head is None or (self.settled and publishing.note(self.log) == self.text):
            return
        stands = Head(proofs.origin(self.log), self.peaks.size, self.peaks.root())
        if (head.size, bytes(head.root)) != (stands.size, stands.root):
            raise Mismatch(
                f"The newest head of the {self.log} log is not the one this sequencer made. Run verify_ledger."
            )
        if self.anchored != stands:
            note = notes.sign(str(stands), *self.signers)
            anchor.swap(self.log, self.anchored, note)
            self.anchored, self.note = stands, note
        elif anchor.newest(self.log) != stands:
            raise Mismatch(f"The anchor of the {self.log} log was taken away or replaced. Put it back: {self.note!r}.")
        if self.published != stands:
            publishing.files(self.log, self.published, stands)
        cosigned, complete = self.witnesses.cosign(head, self.note, now)
        self.text = self.note + cosigned
        publishing.checkpoint(self.log, self.text, stands)
        Checkpoint.objects.get_or_create(tree=head, defaults={"note": self.note, "signed_at": now})
        self.published, self.settled = stands, complete


def _greatest(log: str) -> Place:
    with connection.cursor() as cursor:
        cursor.execute(_GREATEST, [log])
        row = cursor.fetchone()
    return (row[0], int(row[1]), row[2]) if row else BEGINNING


def _demand_extension(anchored: Head, peaks: merkle.Peaks, tree: proofs.StoredTree) -> None:
    if anchored.size > peaks.size:
        raise anchor.cut(anchored, peaks.size)
    proof = merkle.consistency_proof(anchored.size, peaks.size, tree.subtree) if anchored.size else []
    try:
        merkle.verify_consistency(anchored.size, anchored.root, peaks.size, peaks.root(), proof)
    except Mismatch as mismatch:
        anchor.keep(anchored, peaks)
        raise anchor.rewritten(anchored) from mismatch


def open_all() -> list[Sequencer]:
    """Take up every log."""
    return [Sequencer.open(log) for log in LOGS]
