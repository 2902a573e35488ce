"""Counters of writers: whether an entry was left out of a log, seen from the entries alone.

Each of our entries is a JSON object that names its writer and the writer's own count of entries, from 1 on, as
`"writer": [id, number]`. A number that does not follow its predecessor is a fault, and so is a time (`at`) that goes
back: both are what somebody leaves behind who takes an entry away or slips one in. A gap that was found and accepted is
explained by an entry `gap.acknowledged` with the facts `{"writer": id, "from": a, "to": b}`, before or behind it.
Entries in any other form, as in other people's logs, are not judged.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

ACKNOWLEDGED = "gap.acknowledged"
SLACK = timedelta(seconds=5)  # clocks are corrected, and entries of one writer may pass each other
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Gap:
    """Numbers of a writer that are missing, both ends included, and the index of the entry that shows it."""

    writer: str
    first: int
    last: int
    index: int

    def __str__(self) -> str:
        numbers = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"writer {self.writer}: number {numbers} is missing before entry {self.index}"


@dataclass(frozen=True)
class Fault:
    """What no acknowledgement explains: a number that comes twice or late, or a time that goes back."""

    writer: str
    number: int
    index: int
    what: str

    def __str__(self) -> str:
        return f"writer {self.writer}: {self.what} (number {self.number}) at entry {self.index}"


class Writers:
    """The counters as they stand after the entries fed so far; memory grows with writers and gaps, not with entries."""

    def __init__(self, *, size: int = 0, recall: Callable[[str], int] = lambda writer: 0) -> None:
        """Begin at an index; `recall` tells the last number before it of a writer that is met for the first time."""
        self.size = size
        self.gaps: list[Gap] = []  # not explained yet
        self.acknowledged: list[tuple[str, int, int]] = []  # writer, first and last number
        self._recall = recall
        self._last: dict[str, tuple[int, datetime]] = {}

    def feed(self, entry: bytes) -> list[Gap | Fault]:
        """Take the next entry, and return what it shows to be wrong."""
        return self.take(entry)[1]

    def take(self, entry: bytes) -> tuple[tuple[str, int] | None, list[Gap | Fault]]:
        """Take the next entry; return its writer and number, if it names them, and what it shows to be wrong."""
        index = self.size
        self.size += 1
        if b'"writer"' not in entry:  # most entries of other logs, without the cost of parsing them
            return None, []
        try:
            said = orjson.loads(entry)
        except orjson.JSONDecodeError:
            return None, []
        if type(said) is not dict:
            return None, []
        if said.get("event") == ACKNOWLEDGED:
            self._accept(said.get("facts"))
        named = said.get("writer")
        if type(named) is not list or [type(part) for part in named] != [str, int]:
            return None, []
        writer, number = named
        return (writer, number), self._count(writer, number, said.get("at"), index)

    def _count(self, writer: str, number: int, at: Any, index: int) -> list[Gap | Fault]:
        last, newest = self._last.get(writer) or (self._recall(writer), _NEVER)
        when = _moment(at)
        if number == last + 1 and when >= newest:  # nearly always
            self._last[writer] = (number, when)
            return []
        self._last[writer] = (max(number, last), max(when, newest))
        found: list[Gap | Fault] = []
        if number <= last:
            found.append(Fault(writer, number, index, "a number comes twice or late"))
        elif number > last + 1:
            gap = Gap(writer, last + 1, number - 1, index)
            found.append(gap)
            self.gaps += self._left_of(gap)
        if when != _NEVER and newest - when > SLACK:
            found.append(Fault(writer, number, index, f"its time goes back from {newest} to {when}"))
        return found

    def _accept(self, facts: Any) -> None:
        match facts:
            case {"writer": str(writer), "from": int(first), "to": int(last)}:
                self.acknowledged.append((writer, first, last))
                self.gaps = [left for gap in self.gaps for left in self._left_of(gap)]

    def _left_of(self, gap: Gap) -> list[Gap]:
        """Return what the acknowledgements so far leave of a gap."""
        left = [gap]
        for writer, first, last in self.acknowledged:
            if writer == gap.writer:
                left = [part for item in left for part in _without(item, first, last)]
        return left


def _moment(at: Any) -> datetime:
    """Return the time that an entry names; what is no time with a zone says nothing."""
    try:
        when = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return _NEVER
    return when if when.tzinfo else _NEVER


def _without(gap: Gap, first: int, last: int) -> list[Gap]:
    if last < gap.first or first > gap.last or last < first:
        return [gap]
    before = [replace(gap, last=first - 1)] if first > gap.first else []
    after = [replace(gap, first=last + 1)] if last < gap.last else []
    return before + after
