"""Counters of writers: whether an entry was left out of a log, seen from the entries alone.

Each of our entries is a JSON object that names its writer and the writer's own count of entries, from 1 on, as
`"writer": [id, number]`. A number that does not follow its predecessor is a fault, and so is a time (`at`) that goes
back: both are what somebody leaves behind who takes an entry away or slips one in. What was found and looked into is
explained by a later entry: a gap by `gap.acknowledged` with the facts `{"writer": id, "from": a, "to": b}`, a fault by
`breach.acknowledged` with the facts `{"writer": id, "number": n, "index": i}`. Each explains exactly what it names, and
nothing that comes after it. Entries in any other form, as in other people's logs, are not judged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

GAP_ACKNOWLEDGED, FAULT_ACKNOWLEDGED = "gap.acknowledged", "breach.acknowledged"
LONGEST_NAME = 40  # characters: what has a longer name is no writer of ours
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
    """An entry that is no successor: its number comes twice or late, or its time goes back."""

    writer: str
    number: int
    index: int
    what: str

    def __str__(self) -> str:
        return f"writer {self.writer}: {self.what} (number {self.number}) at entry {self.index}"


class Writers:
    """The counters as they stand after the entries fed so far; memory grows with writers and faults, not with entries.

    Counters that begin in the middle, with `recall`, only tell what they see: what is explained needs the whole log.
    """

    def __init__(self, *, size: int = 0, recall: Callable[[str], int] | None = None) -> None:
        """Begin at an index; `recall` tells the last number before it of a writer that is met for the first time."""
        self.size = size
        self.acknowledged: list[tuple[str, int, int]] = []  # gaps: writer, first and last number
        self.explained: list[Fault] = []  # faults that were acknowledged
        self._recall = recall
        self._last: dict[str, tuple[int, datetime]] = {}
        self._open: dict[tuple[str, str, int, int], Gap | Fault] = {}  # by what acknowledges it

    @property
    def unexplained(self) -> list[Gap | Fault]:
        """What is wrong and not acknowledged yet, in the order it was found."""
        return list(self._open.values())

    @property
    def gaps(self) -> list[Gap]:
        """What is missing and not acknowledged yet."""
        return [item for item in self.unexplained if isinstance(item, Gap)]

    @property
    def faults(self) -> list[Fault]:
        """The faults that are not acknowledged yet."""
        return [item for item in self.unexplained if isinstance(item, Fault)]

    def feed(self, entry: bytes) -> list[Gap | Fault]:
        """Take the next entry, and return what it shows to be wrong."""
        return self.take(entry)[1]

    def take(self, entry: bytes) -> tuple[tuple[str, int] | None, list[Gap | Fault]]:
        """Take the next entry; return its writer and number, if it names them, and what it shows to be wrong."""
        index = self.size
        self.size += 1
        said = _said(entry)
        self._accept(said.get("event"), said.get("facts"))
        claim = _claim(said.get("writer"))
        if claim is None:
            return None, []
        found = self._count(*claim, said.get("at"), index)
        if self._recall is None:
            self._open |= {_acknowledged_by(item): item for item in found}
        return claim, found

    def _count(self, writer: str, number: int, at: Any, index: int) -> list[Gap | Fault]:
        last, newest = self._last.get(writer) or (self._recall(writer) if self._recall else 0, _NEVER)
        when = _moment(at)
        if number == last + 1 and when >= newest:  # nearly always
            self._last[writer] = (number, when)
            return []
        back = when != _NEVER and newest - when > SLACK
        # A clock that was set back goes on from there: one fault, not one of every entry until it has caught up.
        self._last[writer] = (max(number, last), when if back else max(when, newest))
        found: list[Gap | Fault] = [Gap(writer, last + 1, number - 1, index)] if number > last + 1 else []
        wrong = [f"its time goes back from {newest} to {when}"] if back else []
        if number <= last:
            wrong.insert(0, "a number comes twice or late")
        if wrong:
            found.append(Fault(writer, number, index, " and ".join(wrong)))
        return found

    def _accept(self, event: Any, facts: Any) -> None:
        match facts:
            case {"writer": str(writer), "from": int(first), "to": int(last)} if event == GAP_ACKNOWLEDGED:
                if self._open.pop((GAP_ACKNOWLEDGED, writer, first, last), None):
                    self.acknowledged.append((writer, first, last))
            case {"writer": str(writer), "number": int(number), "index": int(index)} if event == FAULT_ACKNOWLEDGED:
                fault = self._open.pop((FAULT_ACKNOWLEDGED, writer, number, index), None)
                if isinstance(fault, Fault):
                    self.explained.append(fault)


def _said(entry: bytes) -> dict[str, Any]:
    """Return what an entry says; nothing for one in another form than ours."""
    if b'"writer"' not in entry:  # most entries of other logs, without the cost of parsing them
        return {}
    try:
        said = orjson.loads(entry)
    except orjson.JSONDecodeError:
        return {}
    return said if type(said) is dict else {}


def _claim(named: Any) -> tuple[str, int] | None:
    """Return the writer and number that an entry names, if they can be those of a writer of ours."""
    if type(named) is not list or [type(part) for part in named] != [str, int]:
        return None
    writer, number = named
    return (writer, number) if 0 < len(writer) <= LONGEST_NAME and "\0" not in writer else None


def _acknowledged_by(item: Gap | Fault) -> tuple[str, str, int, int]:
    """Return the event and the facts that explain what is wrong."""
    if isinstance(item, Gap):
        return GAP_ACKNOWLEDGED, item.writer, item.first, item.last
    return FAULT_ACKNOWLEDGED, item.writer, item.number, item.index


def _moment(at: Any) -> datetime:
    """Return the time that an entry names; what is no time with a zone says nothing."""
    try:
        when = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return _NEVER
    return when if when.tzinfo else _NEVER
