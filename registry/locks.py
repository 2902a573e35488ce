"""Advisory locks: they need no right to change any row, which the application does not have."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connection


def hold(name: str) -> None:
    """Wait for the lock of this name and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


@contextmanager
def alone(name: str) -> Iterator[bool]:
    """Yield whether nobody else is at this, and keep others from it until the end: a lease that dies with its holder.

    The lock belongs to the database session, not to a transaction: the work inside has its own, and when its process
    is killed the work is free again at once. Within one session it does not exclude itself.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 1))", [name])
        mine: bool = cursor.fetchone()[0]
    try:
        yield mine
    finally:
        if mine:
            with suppress(DatabaseError), connection.cursor() as cursor:  # a lost session has lost its locks
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 1))", [name])


_HELD = """
SELECT name FROM unnest(%s::text[]) AS name JOIN pg_locks l
  ON (l.classid::bigint << 32) | l.objid::bigint = hashtextextended(name, 1)
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def held(names: Iterable[str]) -> set[str]:
    """Return which of these somebody is `alone` at now."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [list(names)])
        return {row[0] for row in cursor.fetchall()}
