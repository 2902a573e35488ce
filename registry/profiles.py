"""What the columns of a table hold, measured batch by batch in bounded memory; the profiles of parts add up. Pure.

Numbers and moments are counted between edges that are fixed before; values are counted one by one while there are few.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from registry.histograms import Histogram

VERSION = "1"  # of what is measured, and how
MOST_VALUES = 10_000  # different values that are counted one by one
LONGEST = 200  # characters of a value that is counted; columns with longer ones hold prose
TOP = 20  # values shown
NUMBER, INTEGER, MOMENT, FLAG, WORD, OPAQUE = "number", "integer", "moment", "flag", "word", "opaque"
_MICROSECONDS = pa.timestamp("us", "UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def kind_of(type_: pa.DataType) -> str:
    """Return how values of an Arrow type are measured."""
    kinds: list[tuple[Callable[[pa.DataType], bool], str]] = [
        (pa.types.is_boolean, FLAG),
        (pa.types.is_integer, INTEGER),
        (pa.types.is_floating, NUMBER),
        (pa.types.is_decimal, NUMBER),
        (pa.types.is_date, MOMENT),
        (pa.types.is_timestamp, MOMENT),
        (pa.types.is_string, WORD),
        (pa.types.is_large_string, WORD),
    ]
    if pa.types.is_dictionary(type_):
        return kind_of(type_.value_type)
    return next((kind for asks, kind in kinds if asks(type_)), OPAQUE)


def numbers(values: pa.Array) -> np.ndarray:
    """Return numbers, or moments as seconds since 1970, as float64 of shape (n,); what is missing is NaN."""
    moments = kind_of(values.type) == MOMENT
    found = pc.cast(_since_1970(values) if moments else values, pa.float64(), safe=False)
    return found.to_numpy(zero_copy_only=False) / (1e6 if moments else 1)


def _since_1970(values: pa.Array) -> pa.Array:
    """Return moments as microseconds: not every one is a date that Python knows."""
    return pc.cast(pc.cast(values, _MICROSECONDS, safe=False), pa.int64())


@dataclass
class Values:
    """How often each value comes, while there are at most MOST_VALUES different ones; None beyond."""

    counts: Counter[Any] | None = field(default_factory=Counter)

    def add(self, values: pa.Array) -> None:
        """Count values that are not missing."""
        if self.counts is None:
            return
        found = values.value_counts()
        if len(found) > MOST_VALUES or _is_prose(values):
            self.counts = None
            return
        self._count(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))

    def merge(self, other: "Values") -> None:
        """Count what another counted."""
        self._count(other.counts)

    def _count(self, more: Mapping[Any, int] | None) -> None:
        if self.counts is None or more is None:
            self.counts = None
            return
        self.counts.update(more)
        if len(self.counts) > MOST_VALUES:
            self.counts = None


def _is_prose(values: pa.Array) -> bool:
    return kind_of(values.type) == WORD and (pc.max(pc.utf8_length(values)).as_py() or 0) > LONGEST


@dataclass
class Column:
    """One column: how many values, what they are, how they spread. `spread` is None where nothing is counted so."""

    name: str
    kind: str
    type: str
    spread: Histogram | None = None
    count: int = 0  # that are not missing
    missing: int = 0
    infinite: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared differences from the mean
    least: float | int | None = None  # of the finite ones; of moments, seconds since 1970
    most: float | int | None = None
    values: Values = field(default_factory=Values)

    def add(self, values: pa.Array) -> None:
        """Measure more values of this column."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        present = values.drop_null()
        if self.kind == NUMBER:
            present = pc.cast(present, pa.float64(), safe=False)
            present = present.filter(pc.invert(pc.is_nan(present)))
        self.count += len(present)
        self.missing += len(values) - len(present)
        if self.kind in (NUMBER, INTEGER, MOMENT) and len(present):
            self._add_numbers(present)
        if self.kind != OPAQUE:
            self.values.add(_since_1970(present) if self.kind == MOMENT else present)

    def _add_numbers(self, present: pa.Array) -> None:
        found = numbers(present)
        finite = found[np.isfinite(found)]
        part = Column(self.name, self.kind, self.type, count=len(found), infinite=len(found) - len(finite))
        if len(finite):
            with np.errstate(over="ignore", invalid="ignore"):
                part.mean = float(finite.mean())
                part.squares = float(((finite - part.mean) ** 2).sum())
            part.least, part.most = _ends(present, finite, self.kind)
        self._join(part, self.count - len(found))
        if self.spread is not None:
            self.spread += self.spread.of(found)

    def merge(self, other: "Column") -> None:
        """Add what was measured of other rows of the same column, over the same edges."""
        self._join(other, self.count)
        self.count += other.count
        self.missing += other.missing
        self.values.merge(other.values)
        if self.spread is not None and other.spread is not None:
            self.spread += other.spread

    def _join(self, other: "Column", before: int) -> None:
        """Join moments and extremes of two parts (Chan, Golub, LeVeque 1979); `before`: values measured here so far."""
        here, there = before - self.infinite, other.count - other.infinite
        self.infinite += other.infinite
        if other.least is None:  # words, or nothing finite
            return
        apart, total = other.mean - self.mean, here + there
        self.mean += apart * there / total
        self.squares += other.squares + apart * apart * here * there / total
        self.least = min(value for value in (self.least, other.least) if value is not None)
        self.most = max(value for value in (self.most, other.most) if value is not None)

    def counted(self) -> dict[str, Any]:
        """Return the JSON form of what tells nothing about any one row: how many, how many missing and different."""
        counts = self.values.counts
        distinct = {"distinct": len(counts)} if counts is not None else {"distinct_more_than": MOST_VALUES}
        if self.kind == OPAQUE:
            distinct = {}
        return {"name": self.name, "type": self.type, "count": self.count, "missing": self.missing, **distinct}

    def dump(self) -> dict[str, Any]:
        """Return the JSON form of all of it; moments are seconds since 1970 in the histogram, ISO 8601 elsewhere."""
        said = self.counted()
        if self.kind in (NUMBER, INTEGER) and self.least is not None:
            deviation = math.sqrt(self.squares / max(1, self.count - self.infinite))
            numbers = {"min": self.least, "max": self.most, "mean": self.mean, "std": deviation}
            said |= {"infinite": self.infinite, **{name: _finite(value) for name, value in numbers.items()}}
        if self.kind == MOMENT and self.least is not None:
            said |= {"min": iso(self.least), "max": iso(self.most)}
        if self.spread is not None:
            said["histogram"] = self.spread.dump()
        if self.values.counts is not None and self.kind != MOMENT:
            said["top"] = [[_plain(value), n] for value, n in _frequent(self.values.counts)]
        return said


def _ends(present: pa.Array, finite: np.ndarray, kind: str) -> tuple[float | int, float | int]:
    """Return the least and the most; whole numbers exactly, also where float64 is not."""
    if kind == INTEGER:
        ends = pc.min_max(present).as_py()
        return ends["min"], ends["max"]
    return float(finite.min()), float(finite.max())


def _frequent(counts: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:TOP]


def _finite(value: float | int | None) -> float | int | None:
    """Return what JSON can hold: an overflow has no number."""
    return value if value is not None and math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")  # which the database cannot keep
    if isinstance(value, bool | int):
        return value
    number = float(value)
    return number if math.isfinite(number) else str(number)


def iso(seconds: float | int | None) -> str | None:
    """Return seconds since 1970 as ISO 8601 in UTC; None outside the calendar."""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat() if seconds is not None else None
    except OverflowError:
        return None


@dataclass
class Profile:
    """The columns of a table by their names, in order."""

    columns: dict[str, Column]
    rows: int = 0

    @classmethod
    def empty(cls, schema: pa.Schema, edges: Mapping[str, np.ndarray]) -> "Profile":
        """Return a profile of no rows yet. `edges`: of the columns of numbers and moments."""
        made = {}
        for item in schema:
            kind = kind_of(item.type)
            spread = Histogram.empty(edges[item.name]) if item.name in edges else None
            made[item.name] = Column(item.name, kind, str(item.type), spread)
        return cls(made)

    def add(self, batches: Iterable[pa.RecordBatch]) -> "Profile":
        """Measure more rows; return this profile."""
        for batch in batches:
            self.rows += batch.num_rows
            for name, column in self.columns.items():
                column.add(batch.column(name))
        return self

    def merge(self, other: "Profile") -> "Profile":
        """Add what was measured of other rows of the same table, over the same edges; return this profile."""
        self.rows += other.rows
        for name, column in self.columns.items():
            column.merge(other.columns[name])
        return self
