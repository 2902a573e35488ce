"""What is published is a log that anybody can check from its files alone."""

import shutil
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import transaction

from governance.management.commands.setup_platform import make_keys
from registry import anchor, breaches, ledger, proofs, publishing, sequencing
from registry.ledger import DECISIONS, GOVERNANCE
from registry.models import Leaf, LedgerEntry
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


def test_entries_rewritten_before_they_are_published_are_not_published(committed):
    enter(300)
    shutil.rmtree(settings.PUBLISHED_LOG)
    with builders.superuser("registry_ledgerentry") as execute:
        execute("UPDATE registry_ledgerentry SET bytes = 'forged' WHERE subject = 'test:7'")
    with pytest.raises(Mismatch, match="rewritten before they were published"):
        sequencing.Sequencer.open(DECISIONS).advance(builders.now())
    assert not (publishing.folder(DECISIONS) / "checkpoint").exists()


def test_an_anchor_taken_away_while_the_sequencer_works_stops_it(committed):
    enter(3)
    running = sequencing.Sequencer.open(DECISIONS)
    published = publishing.note(DECISIONS)
    anchor.path(DECISIONS).unlink()
    with pytest.raises(Mismatch, match="taken away or replaced"):
        running.advance(builders.now())
    assert publishing.note(DECISIONS) == published


def test_an_entry_whose_place_was_taken_away_is_not_placed_anew(committed):
    enter(300)
    running = sequencing.Sequencer.open(DECISIONS)
    running.swept = LedgerEntry.objects.filter(log=DECISIONS).earliest("id").pk - 1
    with builders.superuser("registry_leaf") as execute:
        execute("DELETE FROM registry_leaf WHERE log = 'decisions' AND index = 7")
    with pytest.raises(Mismatch, match="Places were taken away"):
        running.advance(builders.now(), sweep=True)
    assert Leaf.objects.filter(log=DECISIONS).count() == 299


def test_under_a_clock_set_back_nothing_is_signed_until_a_person_answers_for_it(committed):
    enter(3)
    running = sequencing.Sequencer.open(DECISIONS)
    published = publishing.note(DECISIONS)
    with transaction.atomic():
        ledger.append("test.done", subject="test:1", actor="test", at=builders.now(), facts={}, log=DECISIONS)
    back = builders.now() - timedelta(hours=1)
    with pytest.raises(Mismatch, match="clock was set back") as refusal:
        running.advance(back)
    assert publishing.note(DECISIONS) == published
    breach = breaches.record(log=DECISIONS, kind="refused", detail=refusal.value.detail, now=back)
    breaches.answer(breach_id=breach.pk, reason="It was an hour ahead.", by="service:test", now=builders.now())
    end = time.monotonic() + 60
    while running.peaks.size < 5 and time.monotonic() < end:
        running.advance(back)
    assert check().checkpoint.size == 5
