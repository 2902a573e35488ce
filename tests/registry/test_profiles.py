"""The profiles of parts add up to the profile of the whole, and histograms count over edges that were fixed before."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from registry import histograms, profiles
from registry.histograms import Histogram
from registry.profiles import Profile

numbers = some.lists(
    some.none() | some.floats(-1e9, 1e9) | some.sampled_from([float("inf"), float("nan")]), max_size=40
)
edges = some.lists(some.floats(-1e9, 1e9), max_size=8, unique=True).map(sorted)
EDGES = np.array([-5.0, 0.0, 1.0, 1e6])
SCHEMA = pa.schema([("number", pa.float64()), ("whole", pa.int64()), ("word", pa.string()), ("at", pa.timestamp("us"))])
row = some.tuples(
    some.none() | some.floats(-1e6, 1e6) | some.just(float("inf")),
    some.none() | some.integers(-(2**63), 2**63 - 1),
    some.none() | some.sampled_from(["a", "b", "ü"]),
    some.none() | some.datetimes(),
)


def batch(rows):
    columns = list(zip(*rows, strict=True)) or [[], [], [], []]
    arrays = [pa.array(list(values), item.type) for values, item in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def profile(*parts):
    return Profile.empty(SCHEMA, {"number": EDGES, "whole": EDGES, "at": EDGES}).add(batch(part) for part in parts)


def said(found):
    return {name: column.dump() for name, column in found.columns.items()}


@settings(max_examples=60, deadline=None)
@given(some.lists(some.lists(row, max_size=12), max_size=4), some.lists(some.lists(row, max_size=12), max_size=4))
def test_the_profiles_of_two_parts_add_up_to_that_of_the_whole(first, second):
    whole, parts = profile(*first, *second), profile(*first).merge(profile(*second))
    assert parts.rows == whole.rows
    for name, expected in said(whole).items():
        found = said(parts)[name]
        # Sums of float64 are as exact as the largest number among them, however small what is left of it.
        largest = max(
            (abs(expected[end]) for end in ("min", "max") if isinstance(expected.get(end), int | float)), default=0
        )
        for measure in ("mean", "std"):
            if measure in expected:
                assert found.pop(measure) == pytest.approx(expected.pop(measure), abs=1e-3 + 1e-9 * largest)
        assert found == expected


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, edges)
def test_counts_over_the_same_edges_add_up(first, second, fixed):
    def counted(values):
        return Histogram.empty(fixed).of(np.array([v for v in values if v is not None and v == v], np.float64))

    assert (counted(first) + counted(second)).dump() == counted(first + second).dump()
    assert Histogram.load(counted(first).dump()).dump() == counted(first).dump()


def test_counts_over_other_edges_do_not_add_up():
    with pytest.raises(ValueError, match="different edges"):
        Histogram.empty([1.0]) + Histogram.empty([2.0])


def test_each_value_lies_in_the_bin_that_its_lower_edge_opens():
    found = Histogram.empty([0.0, 1.0]).of(np.array([-1.0, 0.0, 0.5, 1.0, 9.0, -np.inf, np.inf]))
    assert found.counts.tolist() == [2, 2, 3]


def test_between_edges_lie_about_equally_many_values_of_their_sample():
    sample = np.random.default_rng(1).lognormal(3, 2, 32_000)
    fixed = histograms.edges(sample)
    counts = Histogram.empty(fixed).of(sample).counts
    assert len(counts) == histograms.BINS
    assert counts.min() > 900
    assert histograms.edges(np.array([np.nan, np.inf])).size == 0
    assert histograms.edges(np.ones(9)).tolist() == [1.0]


def test_values_are_counted_one_by_one_while_they_are_few():
    few = pa.array([str(place) for place in range(profiles.MOST_VALUES)])
    more = pa.array(["one more"])
    column = profiles.Column("word", profiles.WORD, "string")
    column.add(few)
    assert (column.counted()["distinct"], len(column.dump()["top"])) == (profiles.MOST_VALUES, profiles.TOP)
    column.add(more)
    assert column.counted()["distinct_more_than"] == profiles.MOST_VALUES
    assert "top" not in column.dump()
    prose = profiles.Column("word", profiles.WORD, "string")
    prose.add(pa.array(["x" * 500]))
    assert "top" not in prose.dump()
