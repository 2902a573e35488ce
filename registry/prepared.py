"""A statement that is sent so often that what the database's driver does around it counts: prepared once a session.

Values go to libpq as they are, past Django's ORM and psycopg's cursors, whose own work would cost the process more than
the statement does (`make bench-ledger` says what is left).
"""

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from django.db import connection
from psycopg import errors, pq

_IN_FLIGHT = 64  # statements sent before their answers are read: few enough that neither side waits for the other


class Statement:
    """One statement with parameters $1, $2 …, for use inside a transaction of Django's."""

    def __init__(self, name: str, sql: str, *, binary: Sequence[bool]) -> None:
        """Take the statement; `binary` says of each parameter whether its bytes are the value or a text of it."""
        self.name, self.sql, self.formats = name.encode(), sql, [int(given) for given in binary]
        self._known: WeakSet[object] = WeakSet()  # the sessions that have prepared it

    def run(self, *values: bytes | None) -> bytes | None:
        """Return the first column of the first row, as text; errors are those that Django raises for a query."""
        with self._session() as server:
            result = server.exec_prepared(self.name, values, self.formats)
            _demand(result, pq.ExecStatus.TUPLES_OK)
        found: bytes | None = result.get_value(0, 0)
        return found

    def run_all(self, rows: Sequence[Sequence[bytes | None]]) -> None:
        """Run it with each of these values: they are sent one behind the other, without waiting for answers.

        The first error is raised once all that was sent is answered, and what came behind it was not done.
        """
        if len(rows) == 1:
            self.run(*rows[0])
            return
        for start in range(0, len(rows), _IN_FLIGHT):
            with self._session() as server:
                self._send(server, rows[start : start + _IN_FLIGHT])

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """Yield the session, in a transaction and with the statement prepared."""
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors:
            session = connection.connection
            if session.pgconn.transaction_status == pq.TransactionStatus.IDLE:
                session.execute("SELECT 1")  # this begins the transaction, as psycopg does with its first statement
            if session not in self._known:
                _demand(session.pgconn.prepare(self.name, self.sql.encode()), pq.ExecStatus.COMMAND_OK)
                self._known.add(session)
            yield session.pgconn

    def _send(self, server: Any, rows: Sequence[Sequence[bytes | None]]) -> None:
        try:
            server.enter_pipeline_mode()
            for values in rows:
                server.send_query_prepared(self.name, list(values), self.formats)
            server.pipeline_sync()
            while server.flush():
                _wait(server, select.POLLIN | select.POLLOUT)
            results = [_answer(server) for _ in rows]
            _next(server)  # of the sync
            server.exit_pipeline_mode()
        except BaseException:
            server.finish()  # a session that was left in the middle is of no use to anybody
            raise
        for result in results:
            _demand(result, pq.ExecStatus.TUPLES_OK)


def _answer(server: Any) -> pq.abc.PGresult | None:
    """Return the result of the next statement in the pipeline, and take the end of it."""
    result = _next(server)
    if result is not None:
        _next(server)
    return result


def _next(server: Any) -> pq.abc.PGresult | None:
    """Return the next result. psycopg waits for one with Python's lock held, and so for whoever needs that lock."""
    while server.is_busy():
        _wait(server, select.POLLIN)
    result: pq.abc.PGresult | None = server.get_result()
    return result


def _wait(server: Any, events: int) -> None:
    """Let other threads run until the server says something, or takes more."""
    poll = select.poll()
    poll.register(server.socket, events)
    if any(event & ~select.POLLOUT for _, event in poll.poll()):
        server.consume_input()


def _demand(result: pq.abc.PGresult | None, status: pq.ExecStatus) -> None:
    if result is None:
        raise errors.OperationalError("the server went away")
    if result.status != status and not result.error_field(pq.DiagnosticField.SQLSTATE):
        raise errors.OperationalError(f"the session was lost: {result.error_message.decode(errors='replace')}")
    if result.status != status:
        raise errors.error_from_result(result)
