"""Counters of writers: an entry left out, come twice or gone back in time is named; a known gap is explained."""

import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from registry.tlog.writers import Fault, Gap, Writers

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def entry(writer, number, *, seconds=0.0, **more):
    at = (BEGIN + timedelta(seconds=seconds)).isoformat()
    return orjson.dumps({"at": at, "writer": [writer, number], **more}, option=orjson.OPT_SORT_KEYS)


def accepted(first, last, *, writer="w1", by=("auditor", 1)):
    return entry(*by, event="gap.acknowledged", facts={"writer": writer, "from": first, "to": last})


def fed(*entries, **begun):
    writers = Writers(**begun)
    return writers, [found for item in entries for found in writers.feed(item)]


def test_writers_that_count_are_in_order():
    writers, found = fed(*(entry(f"w{n % 3}", n // 3 + 1, seconds=n) for n in range(300)))
    assert (found, writers.gaps, writers.size) == ([], [], 300)


def test_a_missing_entry_is_named_with_its_writer_and_number():
    writers, found = fed(entry("w1", 1), entry("w2", 1), entry("w1", 3))
    assert found == writers.gaps == [Gap("w1", 2, 2, 2)]
    assert str(found[0]) == "writer w1: number 2 is missing before entry 2"


def test_a_writer_that_does_not_begin_at_1_has_a_gap():
    writers, found = fed(entry("w1", 4))
    assert str(found[0]) == "writer w1: number 1 to 3 is missing before entry 0"


@pytest.mark.parametrize("numbers", [(1, 2, 2), (1, 2, 1), (1, 0), (-1,), (0,)])
def test_a_number_that_comes_twice_or_late_is_a_fault(numbers):
    writers, found = fed(*(entry("w1", number) for number in numbers))
    assert [type(item) for item in found] == [Fault]
    assert "twice or late" in str(found[0])


def test_a_late_entry_does_not_close_its_gap():
    writers, found = fed(entry("w1", 1), entry("w1", 3), entry("w1", 2), entry("w1", 4))
    assert [type(item) for item in found] == [Gap, Fault]
    assert writers.gaps == [Gap("w1", 2, 2, 1)]


def test_time_may_go_back_five_seconds_and_no_more():
    assert fed(entry("w1", 1, seconds=10), entry("w1", 2, seconds=5), entry("w1", 3, seconds=5))[1] == []
    writers, found = fed(entry("w1", 1, seconds=10), entry("w1", 2, seconds=7), entry("w1", 3, seconds=4.9))
    assert [(item.number, item.index) for item in found] == [(3, 2)]
    assert "goes back" in str(found[0])
    assert fed(entry("w1", 1, seconds=10), entry("w2", 1, seconds=0))[1] == []  # clocks of two machines


def test_an_acknowledged_gap_is_explained():
    writers, found = fed(entry("w1", 1), entry("w1", 5), accepted(2, 4))
    assert writers.gaps == []
    assert writers.acknowledged == [("w1", 2, 4)]
    assert [type(item) for item in found] == [Gap]  # it is still told when it is seen


@pytest.mark.parametrize("place", [0, 1])
def test_nothing_is_acknowledged_ahead(place):
    entries = [entry("w1", 1), entry("w1", 5)]
    entries.insert(place, accepted(2, 4))
    writers, _ = fed(*entries)
    assert [(gap.first, gap.last) for gap in writers.gaps] == [(2, 4)]
    assert writers.acknowledged == []


@pytest.mark.parametrize("asked", [(2, 3), (3, 9), (1, 10), (2, 10**18), (9, 2), (10, 12)])
def test_an_acknowledgement_is_of_exactly_the_gap(asked):
    writers, _ = fed(entry("w1", 1), entry("w1", 10), accepted(*asked))
    assert [(gap.first, gap.last) for gap in writers.gaps] == [(2, 9)]
    assert writers.acknowledged == []


def answered(writer, number, index, *, by=("auditor", 1)):
    facts = {"writer": writer, "number": number, "index": index}
    return entry(*by, event="breach.acknowledged", facts=facts)


TWICE = (entry("w1", 1), entry("w1", 2), entry("w1", 1))
BACK = (entry("w1", 1, seconds=6), entry("w1", 2), entry("w1", 3))


@pytest.mark.parametrize(("entries", "fault"), [(TWICE, ("w1", 1, 2)), (BACK, ("w1", 2, 1))])
def test_a_fault_is_explained_by_the_answer_to_it(entries, fault):
    assert [(item.writer, item.number, item.index) for item in fed(*entries)[0].faults] == [fault]
    writers, _ = fed(*entries, answered(*fault))
    assert writers.faults == []
    assert [(item.writer, item.number, item.index) for item in writers.explained] == [fault]


@pytest.mark.parametrize("asked", [("w2", 1, 2), ("w1", 2, 2), ("w1", 1, 1), ("w1", 1, 3)])
def test_an_answer_is_of_exactly_the_fault(asked):
    writers, _ = fed(*TWICE, answered(*asked))
    assert (len(writers.faults), writers.explained) == (1, [])


def test_a_fault_is_not_answered_ahead():
    writers, _ = fed(answered("w1", 1, 3), *TWICE)
    assert (len(writers.faults), writers.explained) == (1, [])


def test_an_entry_may_be_wrong_twice_over_and_is_one_fault():
    writers, _ = fed(entry("w1", 1, seconds=9), entry("w1", 1))
    assert "twice or late and its time goes back" in str(writers.faults[0])
    assert len(writers.faults) == 1


def test_a_clock_that_was_set_back_is_one_fault():
    writers, _ = fed(entry("w1", 1, seconds=3600), *(entry("w1", n, seconds=n) for n in range(2, 50)))
    assert [fault.number for fault in writers.faults] == [2]


def test_thousands_of_gaps_and_of_acknowledgements_take_no_time():
    gaps = [entry(f"w{n % 7}", 2 * (n // 7 + 1)) for n in range(20_000)]
    foreign = [accepted(2 * n + 1, 2 * n + 1, writer="elsewhere", by=("auditor", n + 1)) for n in range(20_000)]
    begun = time.process_time()
    writers, _ = fed(*gaps, *foreign)
    assert time.process_time() - begun < 5  # quadratic, it would take hours
    assert len(writers.gaps) == 20_000


def test_counters_that_begin_in_the_middle_keep_nothing():
    writers, found = fed(*(entry("w1", 2 * n + 2) for n in range(50)), recall=lambda writer: 0)
    assert (len(found), writers.gaps) == (50, [])


def test_an_acknowledgement_is_of_one_writer():
    writers, _ = fed(entry("w1", 1), entry("w1", 3), accepted(2, 2, writer="w2"))
    assert writers.gaps == [Gap("w1", 2, 2, 1)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\x00",
        b'"writer"',
        b'["writer"]',
        b'{"writer":["w1",7]',
        b'{"writer":"w1"}',
        b'{"writer":["w1"]}',
        b'{"writer":["w1",7,8]}',
        b'{"writer":[1,7]}',
        b'{"writer":["w1",true]}',
        b'{"writer":["w1",7.0]}',
        b'{"writer":["",7]}',
        b'{"writer":["w\\u0000",7]}',
        orjson.dumps({"writer": ["\u5b57" * 1150, 7]}),
        b'{"facts":{"writer":["w1",7]}}',
        b'{"event":"gap.acknowledged","facts":["writer"]}',
        b'{"event":"gap.acknowledged","facts":{"writer":"w1","from":"2","to":3}}',
    ],
)
def test_entries_of_other_logs_are_not_judged(data):
    assert fed(data)[1] == []


@pytest.mark.parametrize("at", [None, 7, "yesterday", "2026-01-01T00:00:00"])
def test_a_time_that_says_nothing_is_not_judged(at):
    assert (
        fed(entry("w1", 1, seconds=99), orjson.dumps({"at": at, "writer": ["w1", 2]}), entry("w1", 3, seconds=99))[1]
        == []
    )


def test_counting_goes_on_where_it_stopped():
    writers, found = fed(entry("w1", 9), entry("w2", 1), size=50, recall={"w1": 7, "w2": 0}.__getitem__)
    assert found == [Gap("w1", 8, 8, 50)]
