"""The newest checkpoint of each log, published outside the database: what the database is held against.

Whoever owns the database can rewrite every row of it, but not this file nor the log's key. `swap` replaces the
checkpoint only if it is still the one the caller knows, so that a store with compare-and-swap, or a witness, can
take the file's place.
"""

from pathlib import Path

from django.conf import settings

from registry import durable, proofs
from registry.models import Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes
from registry.tlog.checkpoints import Checkpoint as Head


def path(log: str) -> Path:
    """Return the file a log's newest checkpoint is published in."""
    return settings.PUBLISHED_LOG / log / "checkpoint"


def newest(log: str) -> Head | None:
    """Return the published head of a log, its signature verified; None where none was ever published."""
    try:
        note = path(log).read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise _foreign(log, "it is not text") from error
    try:
        return notes.open_checkpoint(note, proofs.verifier(log))
    except Mismatch as mismatch:
        raise _foreign(log, mismatch.detail) from mismatch


def swap(log: str, known: Head | None, note: str) -> None:
    """Publish a signed checkpoint in the place of the known one; Mismatch when another one stands there."""
    if newest(log) != known:
        raise Mismatch(
            f"The published checkpoint of the {log} log is not the one this sequencer knows: a second sequencer with "
            "the same key is at work, or somebody changed the file. Nothing is published. Stop all but one."
        )
    durable.write(path(log), note.encode())


def demanded(log: str) -> Head:
    """Return the published head that the database's log must extend; Mismatch says why there is none.

    A log that has no head anywhere is the empty one. What the database says is read before the file, which is always
    written first: a sequencer at work in between does not look like a fault.
    """
    heads = Tree.objects.filter(log=log).order_by("-size").values_list("size", flat=True)
    grown, signed = heads.first() or 0, heads.filter(checkpoint__isnull=False).first() or 0
    found = newest(log)
    if found is None and grown:
        raise Mismatch(
            f"The database holds a {log} log of {grown} entries, but no checkpoint is published in {path(log)}: nobody "
            "can tell whether they were rewritten. Put the file back from a backup, from anybody who fetched "
            f"/log/{log}/checkpoint, or from a dossier (checkpoints/{log}). Where no copy is left, and those who may "
            "decide it accept the database as it stands, write its newest registry_checkpoint.note there."
        )
    found = found or Head(proofs.origin(log), 0, merkle.EMPTY)
    if found.size < signed:
        raise Mismatch(
            f"The published checkpoint of the {log} log has {found.size} entries, but {signed} were signed: an older "
            "file was put in its place. Put the newest one back."
        )
    return found


def cut(head: Head, size: int) -> Mismatch:
    """Return the refusal of a database that holds fewer entries than were published."""
    return Mismatch(
        f"The published checkpoint of {head.origin} has {head.size} entries, the database {size}: its log was cut, or "
        "it was rolled back to an older state. Nothing is signed. Restore a backup that holds all of them."
    )


def rewritten(head: Head) -> Mismatch:
    """Return the refusal of a database whose entries are not those that were published."""
    return Mismatch(
        f"The first {head.size} entries of {head.origin} are not those its published checkpoint was signed over: they "
        "were rewritten afterwards. Nothing is signed. Keep database and file as evidence, and restore a backup that "
        "verifies."
    )


def _foreign(log: str, why: str) -> Mismatch:
    return Mismatch(
        f"The published checkpoint of the {log} log ({path(log)}) was not written by its sequencer: {why} "
        "Put the genuine file back from a backup or from anybody who fetched it."
    )
