"""Counters of writers: an entry left out, come twice or gone back in time is named; a known gap is explained."""

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


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_acknowledged_gap_is_explained_before_it_and_behind_it(place):
    entries = [entry("w1", 1), entry("w1", 5)]
    entries.insert(place, accepted(2, 4))
    writers, found = fed(*entries)
    assert writers.gaps == []
    assert writers.acknowledged == [("w1", 2, 4)]
    assert [type(item) for item in found] == [Gap]  # it is still told when it is seen


@pytest.mark.parametrize(
    ("ranges", "left"),
    [
        ([(2, 3)], [(4, 9)]),
        ([(4, 5)], [(2, 3), (6, 9)]),
        ([(7, 99)], [(2, 6)]),
        ([(2, 5), (6, 9)], []),
        ([(10, 12)], [(2, 9)]),
        ([(9, 2)], [(2, 9)]),
    ],
)
def test_what_is_not_acknowledged_remains(ranges, left):
    notes = [accepted(*item, by=("auditor", number)) for number, item in enumerate(ranges, 1)]
    writers, _ = fed(entry("w1", 1), entry("w1", 10), *notes)
    assert [(gap.first, gap.last) for gap in writers.gaps] == left


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
