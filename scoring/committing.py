"""Between a decision and its commit: whoever holds the answer back until its record is durable.

By default records are committed at once, and are on record when `put` returns. A server that commits the decisions of
concurrent requests together puts a committer of its own in place for the requests that it answers so.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from registry.refusals import Unavailable
from scoring import contact, outages, recording, sent
from scoring.recording import Record

_MOST_SUSPECTS = 10_000

Key = tuple[UUID, str]  # a model and a request_id


class Repeated(Exception):
    """A request_id is taken: the decision that took it is the answer."""


class Elsewhere(BaseException):
    """This thread must not be held up: the request is asked again in another one. No error, lest somebody handle it."""


class Committer(Protocol):
    """What puts records on record: all of them or none. `may_wait`: whether this thread may be held up."""

    may_wait: bool

    def put(self, records: Sequence[Record]) -> None:
        """Take records whose answer may leave only once they are durable; Repeated when a request_id is taken."""


class Synchronous:
    """One transaction for the records of one request, committed when `put` returns."""

    may_wait = True

    def put(self, records: Sequence[Record]) -> None:
        """Insert records and commit; keep them in the journal while the database is gone."""
        if contact.gone():
            with suppress(outages.Drained):  # else another worker of this host has met the database again
                lost(records, begin=False)
                return
        try:
            sent.note(record.decision for record in records)
            with transaction.atomic():
                recording.insert(records)
        except (OperationalError, InterfaceError) as error:
            lost(records, error)
        except IntegrityError as error:
            if recording.TAKEN not in str(error):
                raise
            raise Repeated from error


def lost(records: Sequence[Record], error: Exception | None = None, *, begin: bool = True) -> None:
    """Keep in the journal what the database did not take, or whose commit it did not acknowledge before it was gone.

    Without `begin`, Drained when there is no journal, because the database was not even tried.
    Repeated when the journal holds one of their request_ids, Unavailable when the policy allows it no more. Where no
    watcher would drain the journal, nothing is kept and the error is raised.
    """
    if not contact.watched():
        raise error or Unavailable("The database does not answer. Nothing was decided; send the same again.")
    contact.lost()
    try:
        outages.keep(records, begin=begin)
    except outages.Taken as taken:
        raise Repeated from taken


_SYNCHRONOUS = Synchronous()
_mine = threading.local()
_suspects: OrderedDict[Key, None] = OrderedDict()


def put(records: Sequence[Record]) -> None:
    """Hand records to the committer of this thread."""
    _current().put(records)


def _current() -> Committer:
    committer: Committer = getattr(_mine, "committer", None) or _SYNCHRONOUS
    return committer


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


def may_wait() -> bool:
    """Say whether this thread may be held up."""
    return _current().may_wait


def take_time() -> None:
    """Say that what follows takes time; Elsewhere, if there is none in this thread."""
    if not may_wait():
        raise Elsewhere
