"""An entry and the change it tells of live and die together; the sequencer loses and doubles nothing."""

import threading
import time

import pytest
from django.db import connection, connections, transaction

from registry import heads, ledger, proofs, sequencing, verification
from registry.ledger import DECISIONS, GOVERNANCE, Event
from registry.models import Checkpoint, Leaf, LedgerEntry, Tile, Tree
from registry.refusals import Invalid, Mismatch, Unavailable
from tests import builders


def enter(number: int = 0, log: str = GOVERNANCE) -> LedgerEntry:
    facts = {"number": number}
    return ledger.append(Event.PERSON_ADDED, subject="user:1", actor="test", at=builders.now(), facts=facts, log=log)


def test_an_entry_insists_on_its_callers_transaction(committed):
    with pytest.raises(RuntimeError, match="inside the transaction"):
        enter()


def test_an_entry_dies_with_the_change_it_tells_of(committed):
    before = LedgerEntry.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        enter()
        raise ZeroDivisionError
    assert LedgerEntry.objects.count() == before


def test_an_entry_too_long_is_refused_when_it_is_made(people):
    with pytest.raises(Invalid, match="too long"):
        ledger.append(Event.PERSON_ADDED, subject="user:1", actor="t", at=builders.now(), facts={"x": "y" * 5000})


def test_the_log_grows_over_several_tiles_and_every_entry_is_proved(committed):
    for batch in (100, 1, 410, 256, 33):
        with transaction.atomic():
            for number in range(batch):
                enter(number, DECISIONS)
        builders.sequence()
    assert Tile.objects.filter(log=DECISIONS, level=0).count() == 3
    checkpoint = heads.latest(DECISIONS)
    entries = {str(entry.pk): entry for entry in LedgerEntry.objects.filter(log=DECISIONS)}
    assert len(proofs.inclusions(entries, checkpoint)) == 800
    assert verification.verify(DECISIONS) == 800
    assert sequencing.Sequencer.open(DECISIONS).peaks.root() == bytes(Tree.objects.get(log=DECISIONS, size=800).root)


def test_nothing_pending_signs_nothing_new(committed):
    builders.sequence()
    before = Checkpoint.objects.count()
    assert sequencing.Sequencer.open(GOVERNANCE).advance(builders.now()) == 0
    assert Checkpoint.objects.count() == before


def test_an_entry_without_a_place_has_no_proof_yet(committed):
    builders.sequence()
    checkpoint = heads.latest(GOVERNANCE)
    with transaction.atomic():
        late = enter()
    with pytest.raises(Unavailable, match="no place in the log yet"):
        proofs.inclusions({"late": late}, checkpoint)


def test_concurrent_writers_with_delays_and_rollbacks_lose_and_double_nothing(committed):
    stop, kept, broken = threading.Event(), [], []

    def write(writer):
        for number in range(40):
            try:
                with transaction.atomic():
                    entry = enter(writer * 1000 + number, DECISIONS)
                    time.sleep(0.001 * ((writer * 7 + number) % 5))
                    if number % 9 == writer:
                        raise ZeroDivisionError
                kept.append(entry.pk)
            except ZeroDivisionError:
                pass

    def sequence():
        sequencer = sequencing.Sequencer.open(DECISIONS)
        while not stop.is_set() or LedgerEntry.objects.filter(log=DECISIONS, leaf_row=None).exists():
            sequencer.advance(builders.now())

    def run(act, *arguments):
        try:
            act(*arguments)
        except BaseException as error:  # noqa: BLE001 - a thread's own would be lost
            broken.append(error)
            stop.set()
        finally:
            connections["default"].close()

    writers = [threading.Thread(target=run, args=(write, number)) for number in range(6)]
    sequencer = threading.Thread(target=run, args=(sequence,))
    for thread in [sequencer, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    sequencer.join(120)
    assert broken == []
    assert not sequencer.is_alive()
    placed = list(Leaf.objects.filter(log=DECISIONS).order_by("index").values_list("index", "entry"))
    assert [index for index, _ in placed] == list(range(len(kept)))
    assert sorted(entry for _, entry in placed) == sorted(kept)
    assert Tree.objects.filter(log=DECISIONS).count() > 1  # it worked while they wrote, not only after them
    assert verification.verify(DECISIONS) == len(kept)


def test_a_sequencer_refuses_to_go_on_from_a_damaged_tree(committed):
    builders.sequence()
    with builders.superuser("registry_ledgerentry") as execute:
        execute(
            "UPDATE registry_ledgerentry SET bytes = 'forged' WHERE id = (SELECT min(id) FROM registry_ledgerentry)"
        )
    with pytest.raises(Mismatch, match="damaged"):
        sequencing.Sequencer.open(GOVERNANCE)


def test_an_entry_slipped_in_behind_the_cursor_is_swept_up_and_the_cursor_stays(committed):
    builders.sequence()
    sequencer = sequencing.Sequencer.open(GOVERNANCE)
    cursor = sequencer.cursor
    with connection.cursor() as executing:
        executing.execute(
            "INSERT INTO registry_ledgerentry (uuid, log, event, subject, actor, at, bytes, xid) "
            "VALUES (gen_random_uuid(), 'governance', 'test.slipped', 'test:1', 'test', now(), 'slipped', '3')"
        )
    slipped = LedgerEntry.objects.get(event="test.slipped")
    sequencer.advance(builders.now())
    assert not Leaf.objects.filter(entry=slipped).exists()
    stretches = slipped.pk // sequencing.STRETCH + 1
    assert sum(sequencer.advance(builders.now(), sweep=True) for _ in range(stretches)) == 1
    assert sequencer.swept == 0
    assert Leaf.objects.get(entry=slipped).index == sequencer.peaks.size - 1
    assert sequencer.cursor == sequencing.Sequencer.open(GOVERNANCE).cursor == cursor
    with transaction.atomic():
        late = enter()
    builders.sequence()
    assert Leaf.objects.get(entry=late).index == sequencer.peaks.size
    assert sequencing.Sequencer.open(GOVERNANCE).cursor > cursor


def test_a_fork_cannot_be_represented(committed):
    builders.sequence()
    head = Tree.objects.filter(log=GOVERNANCE).latest("size")
    with pytest.raises(Exception, match="one_successor_per_head"), transaction.atomic():
        Tree.objects.create(log=GOVERNANCE, size=head.size + 1, previous=0, root=bytes(32), at=builders.now())
