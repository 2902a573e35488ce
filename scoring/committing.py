"""Between a decision and its commit: whoever holds the answer back until its record is durable.

By default records are committed at once, and are on record when `put` returns. A server that commits the decisions of
concurrent requests together puts a committer of its own in place for the requests that it answers so.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from django.db import IntegrityError, transaction

from scoring import recording
from scoring.recording import Record

_MOST_SUSPECTS = 10_000

Key = tuple[UUID, str]  # a model and a request_id


class Repeated(Exception):
    """A request_id is taken: the decision that took it is the answer."""


class Committer(Protocol):
    """What puts records on record: all of them or none."""

    def put(self, records: Sequence[Record]) -> None:
        """Take records whose answer may leave only once they are durable; Repeated when a request_id is taken."""


class Synchronous:
    """One transaction for the records of one request, committed when `put` returns."""

    def put(self, records: Sequence[Record]) -> None:
        """Insert records and commit."""
        try:
            with transaction.atomic():
                recording.insert(records)
        except IntegrityError as error:
            if recording.TAKEN not in str(error):
                raise
            raise Repeated from error


_mine = threading.local()
_suspects: OrderedDict[Key, None] = OrderedDict()


def put(records: Sequence[Record]) -> None:
    """Hand records to the committer of this thread."""
    committer: Committer = getattr(_mine, "committer", None) or Synchronous()
    committer.put(records)


@contextmanager
def through(committer: Committer) -> Iterator[None]:
    """Let this thread put its records through a committer."""
    before = getattr(_mine, "committer", None)
    _mine.committer = committer
    try:
        yield
    finally:
        _mine.committer = before


def suspect(key: Key) -> None:
    """Let the next request with this key be looked up before anything is decided: it has been answered already."""
    _suspects[key] = None
    while len(_suspects) > _MOST_SUSPECTS:
        _suspects.popitem(last=False)


def suspected(key: Key) -> bool:
    """Say whether a request with this key is to be looked up first. Others are not: nearly every request is new."""
    return key in _suspects
