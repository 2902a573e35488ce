"""Requests that score one row, answered in the loop; their answers wait for the commit of their group.

Imported once the application is loaded, because recording needs its models.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg import conninfo, pq

from scoring import committing, recording, vigil
from scoring.loop.groups import Groups, Held, Taking
from scoring.loop.polling import Poll
from scoring.loop.sessions import Session

_PATIENCE = {"tcp_user_timeout": "2000", "connect_timeout": "2"}  # milliseconds; seconds
_OPTIONS = (
    " -c statement_timeout=1500"  # milliseconds, less than a session's patience: what hangs is told by PostgreSQL
)

Ask = Callable[[], bytes]  # asks the application, and returns the bytes of its answer


class _Absent(DatabaseWrapper):
    """The loop's thread has no session of Django's: who asks the database for anything is asked again elsewhere."""

    def connect(self) -> None:
        """Do not."""
        raise committing.Elsewhere


class Inline:
    """What the loop needs to answer such requests: a session with PostgreSQL of its own, and the groups."""

    def __init__(self, poll: Poll) -> None:
        statement = recording.STATEMENT
        sql, formats = statement.sql.encode(), statement.formats
        self.session = Session(poll, _address(), statement.name, sql, formats)
        self.groups = Groups(self.session)
        self._taking = Taking(self.groups)

    @property
    def is_ready(self) -> bool:
        """Whether what is to be served is verified, loaded and warm."""
        return not vigil.unready()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Take along, in this thread, what the application puts on record, and let it ask the database for nothing."""
        connections[DEFAULT_DB_ALIAS] = _Absent(connections.settings[DEFAULT_DB_ALIAS], DEFAULT_DB_ALIAS)
        with committing.through(self._taking):
            yield
        self.session.close()

    def answer(self, ask: Ask, tell: Callable[[bytes], None], again: Callable[[], None]) -> None:
        """Ask, and tell the answer once it may leave. `again` is called instead if it must be asked elsewhere."""
        taking = self._taking
        taking.taken = []
        try:
            data = ask()
        except committing.Elsewhere:
            again()
            return
        if taking.taken:
            self.groups.add(
                Held(taking.taken, lambda: tell(data), again, lambda why: self._refuse(ask, tell, again, why))
            )
        else:
            tell(data)

    def _refuse(self, ask: Ask, tell: Callable[[bytes], None], again: Callable[[], None], reason: Exception) -> None:
        """Let the application say why, in the form of the protocol that it was asked in."""
        self._taking.reason = reason
        try:
            tell(ask())
        except committing.Elsewhere:
            again()
        finally:
            self._taking.reason = None


def _address() -> bytes:
    """Return where Django finds the database, in libpq's form."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    told = {name: value for name, value in connection.get_connection_params().items() if name in known}
    told["options"] = f"{told.get('options', '')}{_OPTIONS}"
    return conninfo.make_conninfo("", **{**_PATIENCE, **told}).encode()
