"""The anchor of each log: the newest head its sequencer ever vouched for, kept outside the database.

Whoever owns the database can rewrite every row of it, but not this file nor the log's key. `swap` replaces the head
only if it is still the one the caller knows (compare and swap under a lock of the file system), so that two
sequencers cannot vouch for two histories. Keep the folder on another volume than the database.
"""

from pathlib import Path

from django.conf import settings

from registry import durable, proofs
from registry.models import Checkpoint, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes
from registry.tlog.checkpoints import Checkpoint as Head


def path(log: str) -> Path:
    """Return the file that holds a log's anchor, a signed checkpoint."""
    return settings.LOG_ANCHOR / log


def note(log: str) -> str | None:
    """Return the signed checkpoint in a log's anchor; None where there never was one."""
    try:
        return path(log).read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise _foreign(log, "it is not text") from error


def newest(log: str) -> Head | None:
    """Return the anchored head of a log, its signature verified; None where there never was one."""
    text = note(log)
    try:
        return None if text is None else notes.open_checkpoint(text, proofs.verifier(log))
    except Mismatch as mismatch:
        raise _foreign(log, mismatch.detail) from mismatch


def swap(log: str, known: Head | None, fresh: str) -> None:
    """Put a signed checkpoint in the place of the known one; Mismatch when another one stands there."""
    with durable.locked(settings.LOG_ANCHOR / f".{log}.lock"):
        if newest(log) != known:
            raise Mismatch(
                f"The anchor of the {log} log is not the one this sequencer knows: a second sequencer with the same "
                "key is at work, or somebody changed the file. Nothing is signed. Stop all but one."
            )
        durable.write(path(log), fresh.encode())


def demanded(log: str) -> Head:
    """Return the anchored head that the database's log must extend; Mismatch says why there is none.

    A log that has no head anywhere is the empty one. What the database says is read before the file, which is always
    written first: a sequencer at work in between does not look like a fault.
    """
    heads = Tree.objects.filter(log=log).order_by("-size").values_list("size", flat=True)
    grown, signed = heads.first() or 0, heads.filter(checkpoint__isnull=False).first() or 0
    found = newest(log)
    if found is None and grown:
        raise Mismatch(
            f"The database holds a {log} log of {grown} entries, but there is no anchor {path(log)}: nobody can tell "
            "whether they were rewritten. Put the file back from a backup, or write there the newest checkpoint that "
            "was published, that a witness holds, or that a dossier carries (checkpoints/). Where no copy is left, and "
            "those who may decide it accept the database as it stands, write its newest registry_checkpoint.note there."
        )
    found = found or Head(proofs.origin(log), 0, merkle.EMPTY)
    if found.size < signed:
        raise Mismatch(
            f"The anchor of the {log} log has {found.size} entries, but {signed} were signed: an older file was put in "
            "its place. Put the newest one back."
        )
    return found


def cut(head: Head, size: int) -> Mismatch:
    """Return the refusal of a database that holds fewer entries than were vouched for."""
    return Mismatch(
        f"The anchor of {head.origin} has {head.size} entries, the database {size}: its log was cut, or it was rolled "
        "back to an older state. Nothing is signed and no decision is accepted. Restore a backup that holds all of "
        "them, or take the lost entries back from the published log with `manage.py recover_log`."
    )


def rewritten(head: Head) -> Mismatch:
    """Return the refusal of a database whose entries are not those that were vouched for."""
    return Mismatch(
        f"The first {head.size} entries of {head.origin} are not those its anchor was signed over: they were rewritten "
        f"afterwards. Nothing is signed. The sequencer keeps both heads in {_evidence()}; keep the database too, and "
        "restore a backup that verifies."
    )


def forked(published: Head, size: int) -> Mismatch:
    """Return the refusal to go on beside a published head that is not part of the database's log."""
    return Mismatch(
        f"{published.origin} has two histories: the published checkpoint of {published.size} entries is not a head of "
        f"the database's log of {size}. Nothing is signed. Both heads are kept in {_evidence()}; find out who else "
        "signs with this key, or who put the file there."
    )


def keep(outside: Head, peaks: merkle.Peaks) -> None:
    """Keep two heads that contradict each other, with the notes that were signed over them, as evidence."""
    log = outside.origin.rpartition("/")[2]
    folder = _evidence() / f"{log}-{outside.size}-{outside.root.hex()[:16]}"
    signed = Checkpoint.objects.filter(tree__log=log).order_by("-tree__size").values_list("note", flat=True).first()
    published = settings.PUBLISHED_LOG / outside.origin / "checkpoint"
    seen = {
        "database.head": str(Head(outside.origin, peaks.size, peaks.root())).encode(),
        "database.checkpoint": (signed or "").encode(),
        "anchor.checkpoint": (note(log) or "").encode(),
        "published.checkpoint": published.read_bytes() if published.exists() else b"",
    }
    for name, data in seen.items():
        if not (folder / name).exists():  # what was seen first is the evidence, whatever is taken away later
            durable.write(folder / name, data)


def _evidence() -> Path:
    return Path(settings.LOG_ANCHOR) / "evidence"


def _foreign(log: str, why: str) -> Mismatch:
    return Mismatch(
        f"The anchor of the {log} log ({path(log)}) was not written by its sequencer: {why} "
        "Put the genuine file back from a backup or from anybody who fetched the published checkpoint."
    )
