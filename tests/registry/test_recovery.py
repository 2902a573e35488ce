"""A database restored from an old backup: nothing is signed or answered until the log gave its entries back."""

import shutil

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from registry import anchor, ledger, publishing, sequencing, standing, verification
from registry.ledger import GOVERNANCE
from registry.models import Breach, Epoch, Leaf, LedgerEntry
from registry.refusals import Mismatch
from registry.tlog import directory
from tests import builders

LOG = ("registry_ledgerentry", "registry_leaf", "registry_tile", "registry_tree", "registry_checkpoint")


def enter(count=1):
    with transaction.atomic():
        about = [("test:1", {"number": number}) for number in range(count)]
        return ledger.append_all("test.done", about=about, actor="test", at=builders.now(), log=GOVERNANCE)


def roll_back(size, *, held=()):
    """Leave the database as a backup has it that was made at this size; `held`: entries it has without their place."""
    kept = [entry.pk for entry in held]
    with builders.superuser(*LOG) as execute:
        execute("DELETE FROM registry_checkpoint USING registry_tree t WHERE t.id = tree_id AND t.size > %s", [size])
        execute("DELETE FROM registry_tree WHERE log = 'governance' AND size > %s", [size])
        for level in range(3):
            execute(
                "DELETE FROM registry_tile WHERE log = 'governance' AND level = %s AND (number + 1) * %s > %s",
                [level, 256 ** (level + 1), size],
            )
        execute("DELETE FROM registry_leaf WHERE log = 'governance' AND index >= %s", [size])
        execute(
            "DELETE FROM registry_ledgerentry e WHERE log = 'governance' AND id <> ALL(%s) "
            "AND NOT EXISTS (SELECT 1 FROM registry_leaf WHERE entry_id = e.id)",
            [kept],
        )


@pytest.fixture
def grown(committed):
    """A log over several heads and tiles; yields the size of an early one. Afterwards back in the first epoch."""
    enter(3)
    builders.sequence()
    early = sequencing.Sequencer.open(GOVERNANCE).peaks.size
    enter(300)
    builders.sequence()
    yield early
    with builders.superuser("registry_epoch") as execute:
        execute("DELETE FROM registry_epoch WHERE number > 1")
        execute("ALTER TABLE registry_ledgerentry ALTER COLUMN epoch SET DEFAULT 1")


def entries():
    """Return all that the log says, in its order."""
    rows = LedgerEntry.objects.filter(leaf_row__log=GOVERNANCE).order_by("leaf_row__index")
    return [bytes(data) for data in rows.values_list("bytes", flat=True)]


def refused():
    """Say that nothing is signed and no decision accepted."""
    before = anchor.note(GOVERNANCE), publishing.note(GOVERNANCE)
    with pytest.raises(Mismatch, match="its log was cut, or it was rolled back"):
        sequencing.Sequencer.open(GOVERNANCE)
    with pytest.raises(Mismatch, match="manage.py recover_log"):
        standing.demand_unbroken(GOVERNANCE)
    return before == (anchor.note(GOVERNANCE), publishing.note(GOVERNANCE))


def test_a_rolled_back_log_is_recovered_from_what_it_published(grown, tmp_path):
    before, size = entries(), len(entries())
    copy = tmp_path / "copy"
    shutil.copytree(publishing.folder(GOVERNANCE), copy)
    roll_back(grown)
    assert refused()
    call_command("recover_log", GOVERNANCE, folder=copy)
    assert entries() == before
    assert Epoch.objects.latest("number").number == 2
    enter(2)
    builders.sequence()
    assert verification.verify(GOVERNANCE) == size + 3  # ledger.recovered, and the two
    assert [said["event"] for said in map(ledger.orjson.loads, entries()[size:])] == [
        "ledger.recovered",
        "test.done",
        "test.done",
    ]
    directory.verify_entries(publishing.folder(GOVERNANCE), publishing.newest(GOVERNANCE))
    standing.demand_unbroken(GOVERNANCE)
    assert not Breach.objects.exists()


def test_entries_that_the_backup_still_held_without_a_place_keep_it(grown):
    before = entries()
    held = list(LedgerEntry.objects.filter(leaf_row__log=GOVERNANCE, leaf_row__index__in=(grown + 1, grown + 200)))
    roll_back(grown, held=held)
    assert refused()
    call_command("recover_log", GOVERNANCE)
    assert entries() == before
    assert {leaf.index for leaf in Leaf.objects.filter(entry__in=held)} == {grown + 1, grown + 200}
    builders.sequence()
    assert verification.verify(GOVERNANCE) == len(before) + 1


def test_entries_that_waited_in_the_backup_and_were_never_published_come_after(grown):
    before = entries()
    waiting = enter(2)
    roll_back(grown, held=waiting)
    call_command("recover_log", GOVERNANCE)
    builders.sequence()
    places = Leaf.objects.filter(entry__in=waiting).values_list("index", flat=True)
    assert min(places) >= len(before)
    assert entries()[: len(before)] == before
    assert verification.verify(GOVERNANCE) == len(before) + 3


def test_what_was_lost_before_it_was_published_shows_as_a_gap(grown):
    lost = enter(1)
    with builders.superuser("registry_ledgerentry") as execute:
        execute("DELETE FROM registry_ledgerentry WHERE id = %s", [lost[0].pk])
    roll_back(grown)
    call_command("recover_log", GOVERNANCE)
    enter(1)
    builders.sequence()
    assert Breach.objects.get().kind == "gap"


@pytest.mark.parametrize("harm", ["flip", "cut", "none"])
def test_bundles_that_are_not_the_log_change_nothing(grown, tmp_path, harm):
    copy = tmp_path / "copy"
    shutil.copytree(publishing.folder(GOVERNANCE), copy)
    bundle = next(path for path in sorted((copy / "tile" / "entries").rglob("*")) if path.is_file())
    data = bundle.read_bytes()
    if harm == "flip":
        bundle.write_bytes(data.replace(b"test.done", b"test.dine"))
    elif harm == "cut":
        bundle.write_bytes(data[:-10])
    else:
        bundle.unlink()
    roll_back(grown)
    rows = LedgerEntry.objects.count()
    with pytest.raises(CommandError):
        call_command("recover_log", GOVERNANCE, folder=copy)
    assert LedgerEntry.objects.count() == rows
    assert Epoch.objects.count() == 1
    assert refused()


def test_a_log_that_was_not_rolled_back_is_not_recovered(grown):
    before = entries()
    with pytest.raises(CommandError, match="was not rolled back"):
        call_command("recover_log", GOVERNANCE)
    assert entries() == before
    assert Epoch.objects.count() == 1
