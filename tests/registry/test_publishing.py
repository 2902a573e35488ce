"""What is published is a log that anybody can check from its files alone."""

import shutil

import pytest
from django.conf import settings
from django.db import transaction

from governance.management.commands.setup_platform import make_keys
from registry import anchor, ledger, proofs, publishing, sequencing
from registry.ledger import DECISIONS, GOVERNANCE
from registry.refusals import Mismatch
from registry.tlog import directory
from registry.tlog.trust import Policy
from registry.tlog.vkeys import Verifier
from tests import builders


def enter(count, log=DECISIONS):
    with transaction.atomic():
        about = [(f"test:{number}", {"number": number}) for number in range(count)]
        ledger.append_all("test.done", about=about, actor="test", at=builders.now(), log=log)
    builders.sequence()


def trusting(*keys):
    return Policy.parse("".join(f"log {key}\n" for key in keys).encode() + b"quorum none\n")


def check(log=DECISIONS, policy=None):
    return directory.verify(publishing.folder(log), policy or trusting(proofs.verifier(log)))[0]


def test_every_size_it_grows_through_can_be_checked_from_the_files_alone(committed):
    size = 0
    for count in (1, 254, 1, 1, 300, 211):
        enter(count)
        size += count
        assert check().checkpoint.size == size
    entries = publishing.folder(DECISIONS) / "tile" / "entries"
    assert sorted(path.name for path in entries.iterdir()) == ["000", "001", "002"]  # 768: partial files made way


def test_a_published_file_that_was_changed_is_named_and_never_written_over(committed):
    enter(300)
    bundle = publishing.folder(DECISIONS) / "tile" / "entries" / "000"
    changed = bundle.read_bytes().replace(b'"number":7}', b'"number":8}')
    bundle.write_bytes(changed)
    with pytest.raises(Mismatch, match="tile/entries/000"):
        check()
    (publishing.folder(DECISIONS) / "checkpoint").unlink()
    with pytest.raises(Mismatch, match="holds other bytes than belong there"):
        sequencing.Sequencer.open(DECISIONS).advance(builders.now())
    assert bundle.read_bytes() == changed


def test_a_published_log_that_was_lost_is_published_anew(committed):
    enter(520)
    before = (publishing.folder(DECISIONS) / "checkpoint").read_text()
    shutil.rmtree(settings.PUBLISHED_LOG)
    sequencing.Sequencer.open(DECISIONS).advance(builders.now())
    assert (publishing.folder(DECISIONS) / "checkpoint").read_text() == before
    assert check().checkpoint.size == 520


def test_a_published_checkpoint_that_was_taken_away_or_set_back_is_put_right_at_once(committed):
    enter(3)
    running = sequencing.Sequencer.open(DECISIONS)
    running.advance(builders.now())
    file = publishing.folder(DECISIONS) / "checkpoint"
    older = file.read_text()
    enter(2)
    running = sequencing.Sequencer.open(DECISIONS)
    running.advance(builders.now())
    newest = file.read_text()
    for spoil in (file.unlink, lambda: file.write_text(older)):
        spoil()
        assert running.advance(builders.now()) == 0
        assert file.read_text() == newest


def test_a_checkpoint_published_ahead_of_the_anchor_is_a_second_history(committed):
    enter(3, GOVERNANCE)
    older = anchor.note(GOVERNANCE)
    enter(2, GOVERNANCE)
    anchor.path(GOVERNANCE).write_text(older)
    with builders.superuser("registry_checkpoint") as execute:  # as if the newest head had never been signed
        execute("DELETE FROM registry_checkpoint WHERE tree_id = (SELECT max(tree_id) FROM registry_checkpoint)")
    with pytest.raises(Mismatch, match="two histories"):
        sequencing.Sequencer.open(GOVERNANCE)
    kept = next((settings.LOG_ANCHOR / "evidence").iterdir())
    assert (kept / "anchor.checkpoint").read_text() == older
    assert (kept / "published.checkpoint").read_text() == publishing.note(GOVERNANCE)


def test_a_log_may_sign_with_a_post_quantum_key_as_well(committed):
    make_keys(post_quantum=True)
    second = settings.LOG_VKEY_FILE.with_suffix(f".{DECISIONS}.mldsa.vkey")
    try:
        enter(5)
        policy = trusting(Verifier.parse(second.read_text().strip()))
        assert check(policy=policy).checkpoint.size == check().checkpoint.size == 5
        assert sequencing.Sequencer.open(DECISIONS).advance(builders.now()) == 0
    finally:
        for path in second.parent.glob("*.mldsa.*"):
            path.unlink()
