"""A session with PostgreSQL that never blocks its thread: one prepared statement, many at once, one answer for all.

libpq's pipeline mode sends a group of statements with one Sync: they are one transaction, committed before the Sync is
acknowledged (PostgreSQL, "Pipeline Mode"). At a group of one that is one INSERT.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from psycopg import Error, OperationalError, errors, pq

from scoring.loop.polling import IN, OUT, Poll

PATIENCE = 2.0  # seconds for PostgreSQL to answer, else the session is given up
RETRY = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds from a failed attempt to the next; the last goes on
_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


@dataclass(frozen=True)
class Outcome:
    """What became of a group: committed, or refused because of the statement at `place` (None: of none alone).

    `error` is what PostgreSQL said; None with `is_lost`, when nobody can say whether the group was committed.
    """

    is_lost: bool = False
    error: Error | None = None
    place: int | None = None


@dataclass
class _Flight:
    """What is awaited: as many results as there are statements, then the acknowledgement of the Sync."""

    told: Callable[[Outcome], None]
    done: int = 0
    error: Error | None = None
    place: int | None = None


@dataclass
class Session:
    """One session, opened again whenever it is lost. `name` and `sql` are the statement that it prepares."""

    poll: Poll
    address: bytes
    name: bytes
    sql: bytes
    formats: Sequence[int]
    is_ready: bool = False  # a group may be sent
    _link: pq.abc.PGconn | None = None
    _number: int = -1
    _mask: int = 0
    _flight: _Flight | None = None
    _due: float = field(default=0.0)  # when to give up waiting, or to try again
    _failed: int = 0  # attempts since the session was lost

    @property
    def is_down(self) -> bool:
        """Whether there is no session, and it is not being opened for the first time."""
        return self._failed > 0

    def send(self, group: Sequence[Sequence[bytes | None]], told: Callable[[Outcome], None]) -> None:
        """Send the statement once for each list of parameters; `told` learns what became of them all, one time."""
        link, self.is_ready = self._linked(), False
        self._flight, self._due = _Flight(told), time.monotonic() + PATIENCE
        try:
            for values in group:
                link.send_query_prepared(self.name, values, self.formats)
            self._dispatch(link)
        except OperationalError:
            self._lose()

    def tend(self) -> None:
        """Open the session when it is time to, and give up what does not answer. Call it now and then."""
        if time.monotonic() < self._due:
            return
        if self._link is None:
            self._open()
        elif not self.is_ready:
            self._lose()

    def close(self) -> None:
        """End the session."""
        self._drop()

    def _linked(self) -> pq.abc.PGconn:
        if self._link is None:
            raise RuntimeError("There is no session.")
        return self._link

    def _open(self) -> None:
        self._due = time.monotonic() + PATIENCE
        self._link = pq.PGconn.connect_start(self.address)
        if self._link.status == pq.ConnStatus.BAD:
            self._lose()
        else:
            self._watch(OUT, self._opening)

    def _opening(self, _: int) -> None:
        link = self._linked()
        step = link.connect_poll()
        if step == pq.PollingStatus.OK:
            self._prepare(link)
        elif step == pq.PollingStatus.FAILED:
            self._lose()
        else:  # it may have gone on to another address, with another descriptor
            self._watch(IN if step == pq.PollingStatus.READING else OUT, self._opening)

    def _prepare(self, link: pq.abc.PGconn) -> None:
        self._watch(IN, self._ready)
        link.nonblocking = 1
        link.enter_pipeline_mode()
        self._flight = _Flight(self._prepared)
        link.send_prepare(self.name, self.sql)
        self._dispatch(link)

    def _prepared(self, outcome: Outcome) -> None:
        if outcome.error or outcome.is_lost:
            self._lose()
        else:
            self._failed = 0

    def _dispatch(self, link: pq.abc.PGconn) -> None:
        link.pipeline_sync()
        if link.flush():
            self._change(IN | OUT)

    def _ready(self, mask: int) -> None:
        link = self._linked()
        try:
            if mask & OUT and not link.flush():
                self._change(IN)
            if mask & ~OUT:
                link.consume_input()
                self._read(link)
        except OperationalError:
            self._lose()

    def _read(self, link: pq.abc.PGconn) -> None:
        """Take in results until the Sync is acknowledged or the next one has not come yet."""
        nothing = False
        while self._flight and not link.is_busy():
            result = link.get_result()
            if result is None and nothing:
                break
            nothing = result is None
            if result is not None:
                self._count(self._flight, result)
        if link.status == pq.ConnStatus.BAD:
            raise OperationalError("The session was lost.")

    def _count(self, flight: _Flight, result: pq.abc.PGresult) -> None:
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            self._flight, self.is_ready = None, True
            flight.told(Outcome(error=flight.error, place=flight.place))
        elif result.status in _DONE:
            flight.done += 1
        elif flight.error is None:
            flight.error = errors.error_from_result(result)
            flight.place = flight.done

    def _lose(self) -> None:
        flight = self._flight
        self._drop()
        self._due = time.monotonic() + RETRY[min(self._failed, len(RETRY) - 1)]
        self._failed += 1
        if flight and flight.told != self._prepared:
            flight.told(Outcome(is_lost=True))

    def _drop(self) -> None:
        self.is_ready, self._flight = False, None
        self.poll.forget(self._number)
        self._number = -1
        if self._link is not None:
            self._link.finish()
            self._link = None

    def _watch(self, mask: int, ready: Callable[[int], None]) -> None:
        self.poll.forget(self._number)
        self._number, self._mask = self._linked().socket, mask
        self.poll.watch(self._number, mask, ready)

    def _change(self, mask: int) -> None:
        if mask != self._mask:
            self._mask = mask
            self.poll.change(self._number, mask)
