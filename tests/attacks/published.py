"""What somebody does to the record with its files or with the log's own key."""

import hashlib
import io
import shutil
import time
from pathlib import Path

import httpx
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError

from governance.demo.clients import until
from registry import anchor, heads, keys, proofs, publishing, sequencing, witness
from registry.ledger import DECISIONS, GOVERNANCE
from registry.models import Checkpoint, Tree
from registry.refusals import Mismatch
from registry.tlog import merkle, notes, witnessing
from registry.tlog.checkpoints import Checkpoint as Head
from registry.tlog.trust import Policy
from tests.attacks import NotCaughtError, attack
from tests.attacks.forging import forge, forge_tree
from tests.attacks.ledger import LOG, until_cosigned, verified, verify_log
from tests.attacks.world import SOON, now, refused, verify_ledger


@attack
def put_an_older_checkpoint_back(world):
    """File system: the published checkpoint gives way to an older one"""
    until_cosigned(DECISIONS)
    oldest = Checkpoint.objects.filter(tree__log=DECISIONS).earliest("tree__size")
    file = publishing.folder(DECISIONS) / "checkpoint"
    newest = file.read_text()
    with world.stopped():
        file.write_text(oldest.cosigned)
        said = world.red("to be published")
    until("the newest stands there again", lambda: file.read_text() == newest, SOON)
    return f"{said}; the sequencer puts it right"


@attack
def change_a_published_file(world):
    """File system: one bit of a published tile, then of a bundle"""
    until_cosigned(DECISIONS)
    verified(DECISIONS)  # as it stands
    for kind in ("tile/0", "tile/entries"):
        files = [path for path in (publishing.folder(DECISIONS) / kind).rglob("*") if path.is_file()]
        path = max(files, key=lambda path: path.stat().st_mtime_ns)
        data, at = path.read_bytes(), path.stat().st_size // 2
        with world.written(path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
            verify_log(DECISIONS, "NOT VERIFIED")
    return "verify_log: 2 of 2 “NOT VERIFIED”"


@attack
def put_an_older_anchor_back(world):
    """File system: the anchor is deleted; then it gives way to an older one"""
    path = anchor.path(DECISIONS)
    aside = path.rename(path.with_name("aside"))
    try:
        gone = verify_ledger("there is no anchor")
    finally:
        aside.rename(path)
    oldest = Checkpoint.objects.filter(tree__log=DECISIONS).earliest("tree__size")
    with world.written(path, oldest.note.encode()):
        said = verify_ledger("an older file was put in its place")
        world.score()
        return f"{gone}, {said}; {world.breach('not the one this sequencer knows')}"


@attack
def run_a_second_sequencer(world):
    """Log key and the sequencer's role: a second sequencer at the same log"""
    world.score()
    world.calm()
    with world.role("sequencer") as session:
        if session.execute("SELECT pg_try_advisory_lock(%s)", [sequencing._LOCK]).fetchone()[0]:
            raise NotCaughtError("the lock was free")
    second = sequencing.Sequencer.open(DECISIONS)
    world.score()
    world.calm()
    with world.stopped():
        world.score()
        said = refused((IntegrityError, psycopg.Error, Mismatch), "one_entry_per_index", lambda: second.advance(now()))
    return f"it stands by; past the lock: {said}"


def log_key(log: str = GOVERNANCE) -> notes.Signer:
    """Return the log's stolen private key."""
    return keys.signers(Path(settings.LOG_KEY_FILE).with_suffix(f".{log}.key"))[0]


def party():
    """Return the witness that the trust policy names."""
    return next(iter(heads.policy().witnesses.values()))


def cosigned() -> Head:
    """Return what the witness cosigned last of the governance log."""
    name = witness.folder_of(proofs.origin(GOVERNANCE))
    note = httpx.get(f"{party().url}/{name}/checkpoint").text
    return notes.open_checkpoint(note, proofs.verifier(GOVERNANCE))


@attack
def sign_a_fork(world):
    """Log key: a fork, one that grows from it, and a rollback, for the witness to cosign and an auditor to believe"""
    head, said = cosigned(), []
    for size, hashes in ((0, []), (5, [bytes(32)] * 3), (-1, [])):
        fork = str(Head(head.origin, head.size + size, hashlib.sha256(b"fork").digest()))
        request = witnessing.Request(head.size, hashes, notes.sign(fork, log_key()))
        answer = httpx.post(f"{party().url}/add-checkpoint", content=str(request).encode())
        if answer.status_code == 200:
            raise NotCaughtError(fork)
        said.append(str(answer.status_code))
    if cosigned() != head:
        raise NotCaughtError("the witness moved on")
    policy = Policy.parse(settings.LOG_POLICY_FILE.read_bytes())
    offline = refused(Mismatch, "is not reached", lambda: policy.verify(request.note))
    return f"witness {', '.join(said)}; offline: the quorum {offline}"


@attack
def rewrite_everything_with_the_log_key(world):
    """Superuser, file system and log key: the log is rewritten, signed and published anew"""
    folder, file = publishing.folder(GOVERNANCE), anchor.path(GOVERNANCE)
    aside, whole = folder.with_name("aside"), file.read_bytes()
    with world.stopped(), world.kept(*LOG):
        with world.unguarded(*LOG) as execute:
            forge(execute)
        with world.unguarded(*LOG) as execute:
            forge_tree(execute)
        with world.unguarded(*LOG) as execute:
            sign_anew(execute)
        folder.rename(aside)
        try:
            newest = Checkpoint.objects.filter(tree__log=GOVERNANCE).latest("tree__size")
            file.write_text(newest.note)
            empty = Head(proofs.origin(GOVERNANCE), 0, merkle.EMPTY)
            publishing.files(GOVERNANCE, empty, notes.open_checkpoint(newest.note, proofs.verifier(GOVERNANCE)))
            (folder / "checkpoint").write_text(newest.note)
            call_command("verify_ledger", stdout=io.StringIO())  # the operator's own check is deceived
            world.platform.kill("sequencer")
            world.grow()
            return f"verify_ledger is deceived; {world.breach('contradicts what it saw before')}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
            file.write_bytes(whole)
            world.platform.kill("sequencer")


def sign_anew(execute) -> None:
    """Sign every head of the governance log as it now is."""
    for head in Tree.objects.filter(log=GOVERNANCE, checkpoint__isnull=False):
        note = notes.sign(str(Head(proofs.origin(GOVERNANCE), head.size, bytes(head.root))), log_key())
        execute("UPDATE registry_checkpoint SET note = %s WHERE tree_id = %s", [note, head.pk])


@attack
def collude_with_the_quorum(world):
    """Log key and every witness key of the quorum: a fork, cosigned"""
    head = cosigned()
    thief = witness.cosigner(notes.Signer.parse((world.home / "witness" / "witness.key").read_text().strip()))
    fork = str(Head(head.origin, head.size, hashlib.sha256(b"fork").digest()))
    note = notes.sign(fork, log_key(), thief, time=int(time.time()))
    found = Policy.parse(settings.LOG_POLICY_FILE.read_bytes()).verify(note)
    raise NotCaughtError(f"accepted, as cosigned by {', '.join(found.cosigners)}")
