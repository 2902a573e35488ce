"""The sequencer beside others: a standby, a second one with the same key, a clock set back, a restored database."""

import signal
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from registry import anchor, breaches, epochs, keys, ledger, publishing, sequencing, standing, verification
from registry.ledger import DECISIONS, GOVERNANCE
from registry.models import Breach, Checkpoint, Epoch, Leaf, LedgerEntry, Tree
from registry.refusals import Mismatch
from registry.tlog import directory, trust
from tests import builders
from tests.installations import installation, until

LOG = ("registry_ledgerentry", "registry_leaf", "registry_tile", "registry_tree", "registry_checkpoint")


def enter(count=1, log=GOVERNANCE):
    with transaction.atomic():
        about = [("test:1", {"number": number}) for number in range(count)]
        return ledger.append_all("test.done", about=about, actor="test", at=builders.now(), log=log)


@pytest.fixture
def sequencer(committed):
    """One that has placed all there is."""
    enter(3)
    builders.sequence()
    return sequencing.Sequencer.open(GOVERNANCE)


def signed(log=GOVERNANCE):
    """What was vouched for, published and put on record."""
    return anchor.note(log), publishing.note(log), list(Checkpoint.objects.order_by("pk").values_list("note"))


@pytest.mark.xdist_group("hammer")
def test_a_second_sequencer_stands_by_and_takes_over_within_two_seconds(tmp_path):
    with installation(tmp_path / "home") as at:
        at.start_witness()
        at.start_sequencer("first")
        until(lambda: at.leader() == "first", "the first one leads")
        second = at.start_sequencer("second")
        until(lambda: b"second" in sessions(at), "the second one stands by")
        for leader, other in (("first", "second"), ("second", "first")):
            assert at.leader() == leader
            at.kill(leader)
            assert until(lambda other=other: at.leader() == other, "the standby takes over", pause=0.02) < 2
            at.start_sequencer(leader)
            until(lambda leader=leader: leader.encode() in sessions(at), "the killed one stands by again")
        assert second.poll() == -signal.SIGKILL
        at.kill("second", signal.SIGTERM)  # told to stop while it stands by, it stops
        at.manage("verify_ledger")


def sessions(at):
    with at.connect() as connection:
        query = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
        return {name.encode() for (name,) in connection.execute(query)}


def test_a_second_sequencer_with_the_same_key_vouches_for_nothing(sequencer):
    """It has the key and the folder but not the lock: the anchor is swapped only by who knows what stands there."""
    second = sequencing.Sequencer.open(GOVERNANCE)
    enter()
    builders.settle_transactions()
    assert sequencer.advance(builders.now()) == 1
    before = signed()
    enter()
    builders.settle_transactions()
    with pytest.raises(Exception, match="one_successor_per_head|one_entry_per_index"):
        second.advance(builders.now())
    assert signed() == before
    assert sequencer.advance(builders.now()) == 1
    assert verification.verify(GOVERNANCE) == sequencer.peaks.size


def test_the_anchor_is_swapped_only_by_who_knows_what_stands_there(sequencer):
    known = anchor.newest(GOVERNANCE)
    fresh = sequencing.notes.sign(str(replace(known, size=known.size + 1)), *sequencer.signers)
    before = signed()
    with pytest.raises(Mismatch, match="second sequencer with the same key"):
        anchor.swap(GOVERNANCE, replace(known, size=known.size - 1), fresh)
    with pytest.raises(Mismatch, match="second sequencer with the same key"):
        anchor.swap(GOVERNANCE, None, fresh)
    assert signed() == before


def test_a_clock_set_back_signs_nothing_until_it_is_right(sequencer):
    enter()
    builders.settle_transactions()
    before = signed()
    with pytest.raises(Mismatch, match="The clock was set back"):
        sequencer.advance(builders.now() - timedelta(seconds=60))
    assert signed() == before
    assert Leaf.objects.filter(log=GOVERNANCE).count() == sequencer.peaks.size
    assert sequencer.advance(sequencer.at - timedelta(seconds=4)) == 1  # clocks are corrected by as much
    assert verification.verify(GOVERNANCE) == sequencer.peaks.size


def test_an_entry_deleted_before_it_got_its_place_is_a_breach_until_somebody_answers(sequencer, tmp_path):
    _, gone, _ = enter(3)
    with builders.superuser("registry_ledgerentry") as execute:
        execute("DELETE FROM registry_ledgerentry WHERE id = %s", [gone.pk])
    builders.sequence()
    breach = Breach.objects.get()
    assert breach.kind == breaches.GAP
    assert breach.facts["from"] == breach.facts["to"]
    assert [f for f in standing.of(GOVERNANCE).faults if "breaches are unanswered" in f]
    policy = tmp_path / "policy"
    policy.write_text(f"log {keys.verifier(sequencing.settings.LOG_VKEY_FILE.with_suffix('.governance.vkey'))}\n")
    policy.write_text(policy.read_text() + "quorum none\n")
    folder = str(publishing.folder(GOVERNANCE))
    with pytest.raises(CommandError, match="is missing before entry .* no later entry acknowledges it"):
        call_command("verify_log", folder, policy=str(policy))
    call_command("breaches", answer=breach.pk, reason="A test took it away.")
    builders.sequence()
    call_command("verify_log", folder, policy=str(policy))
    assert not standing.of(GOVERNANCE).faults
    _, writers = directory.verify(publishing.folder(GOVERNANCE), trust.Policy.parse(policy.read_bytes()))
    assert [(first, last) for _, first, last in writers.acknowledged] == [(breach.facts["from"], breach.facts["to"])]


def test_a_breach_is_answered_once_and_with_a_reason(sequencer):
    breach = breaches.record(log=GOVERNANCE, kind="test", detail="Something.", now=builders.now())
    assert breaches.record(log=GOVERNANCE, kind="test", detail="Something.", now=builders.now()) == breach
    entries = LedgerEntry.objects.count()
    with pytest.raises(CommandError, match="Give a reason"):
        call_command("breaches", answer=breach.pk, reason=" ")
    with pytest.raises(CommandError, match="No breach"):
        call_command("breaches", answer=ledger.uuid7(), reason="What?")
    assert LedgerEntry.objects.count() == entries
    call_command("breaches", answer=breach.pk, reason="Seen.")
    with pytest.raises(CommandError, match="answered already"):
        call_command("breaches", answer=breach.pk, reason="Seen again.")
    assert LedgerEntry.objects.count() == entries + 1


def test_a_database_restored_into_another_cluster_is_not_gone_on_with_before_setup(sequencer):
    with builders.superuser("registry_epoch") as execute:
        execute("UPDATE registry_epoch SET system = '1'")
    enter()
    before = signed()
    with pytest.raises(Mismatch, match="restored into another PostgreSQL cluster"):
        sequencing.Sequencer.open(GOVERNANCE)
    assert signed() == before
    try:
        epochs.settle(builders.now())
        assert epochs.demanded() == Epoch.objects.latest("number").number == 2
        late = enter()[0]
        builders.sequence()
        assert verification.verify(GOVERNANCE) == Leaf.objects.get(entry=late).index + 1
    finally:
        forget_epochs()


def forget_epochs():
    """Back to the life that the test database began with: others use it too."""
    with builders.superuser("registry_epoch") as execute:
        execute("DELETE FROM registry_epoch WHERE number > 1")
        execute("UPDATE registry_epoch SET system = (SELECT system_identifier::text FROM pg_control_system())")
        execute("ALTER TABLE registry_ledgerentry ALTER COLUMN epoch SET DEFAULT 1")


def test_entries_of_an_earlier_life_come_first_whatever_their_transactions_number(sequencer):
    """In the new cluster transactions are numbered from below: what waited from before is placed all the same."""
    old = enter()[0]
    with builders.superuser("registry_ledgerentry") as execute:
        execute("UPDATE registry_ledgerentry SET xid = '99999999999' WHERE id = %s", [old.pk])
    try:
        epochs.begin(builders.now())
        new = enter()[0]
        builders.sequence()
        places = {leaf.entry_id: leaf.index for leaf in Leaf.objects.filter(log=GOVERNANCE)}
        assert places[old.pk] < places[new.pk]
    finally:
        forget_epochs()


def test_one_log_that_is_refused_keeps_the_other_from_nothing(sequencer):
    enter(log=DECISIONS)
    builders.sequence()
    with builders.superuser(*LOG) as execute:
        execute("UPDATE registry_tree SET root = sha256('forged') WHERE log = 'governance'")
    with pytest.raises(Mismatch, match="damaged"):
        sequencing.Sequencer.open(GOVERNANCE)
    enter(log=DECISIONS)
    builders.settle_transactions()
    assert sequencing.Sequencer.open(DECISIONS).advance(builders.now()) == 1


def test_a_published_head_that_is_none_of_ours_is_kept_beside_ours_and_stops_the_sequencer(sequencer):
    head = publishing.newest(GOVERNANCE)
    forged = sequencing.notes.sign(str(replace(head, root=bytes(32))), *sequencer.signers)
    (publishing.folder(GOVERNANCE) / "checkpoint").write_text(forged)
    with pytest.raises(Mismatch, match="has two histories"):
        sequencing.Sequencer.open(GOVERNANCE)
    kept = sequencing.settings.LOG_ANCHOR / "evidence" / f"governance-{head.size}-{'0' * 16}"
    assert (kept / "published.checkpoint").read_text() == forged
    assert (kept / "anchor.checkpoint").read_text() == anchor.note(GOVERNANCE)
    assert Tree.objects.filter(log=GOVERNANCE).latest("size").size == head.size
