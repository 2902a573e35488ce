"""Advisory locks of a transaction: they need no right to change any row, which the application does not have."""

from django.db import connection


def hold(name: str) -> None:
    """Wait for the lock of this name and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
