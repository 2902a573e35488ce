"""A statement that is sent so often that what the database's driver does around it counts: prepared once a session.

Values go to libpq as they are, past Django's ORM and psycopg's cursors, whose own work would cost the process more than
the statement does (`make bench-ledger` says what is left).
"""

from collections.abc import Sequence
from weakref import WeakSet

from django.db import connection
from psycopg import errors, pq


class Statement:
    """One statement with parameters $1, $2 …, for use inside a transaction of Django's."""

    def __init__(self, name: str, sql: str, *, binary: Sequence[bool]) -> None:
        """Take the statement; `binary` says of each parameter whether its bytes are the value or a text of it."""
        self.name, self.sql, self.formats = name.encode(), sql, [int(given) for given in binary]
        self._known: WeakSet[object] = WeakSet()  # the sessions that have prepared it

    def run(self, *values: bytes | None) -> bytes | None:
        """Return the first column of the first row, as text; errors are those that Django raises for a query."""
        connection.validate_no_broken_transaction()
        with connection.wrap_database_errors:
            session = connection.connection
            if session.pgconn.transaction_status == pq.TransactionStatus.IDLE:
                session.execute("SELECT 1")  # this begins the transaction, as psycopg does with its first statement
            if session not in self._known:
                _demand(session.pgconn.prepare(self.name, self.sql.encode()), pq.ExecStatus.COMMAND_OK)
                self._known.add(session)
            result = session.pgconn.exec_prepared(self.name, list(values), self.formats)
            _demand(result, pq.ExecStatus.TUPLES_OK)
        found: bytes | None = result.get_value(0, 0)
        return found


def _demand(result: pq.abc.PGresult, status: pq.ExecStatus) -> None:
    if result.status != status:
        raise errors.error_from_result(result)
