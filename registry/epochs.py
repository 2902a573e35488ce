"""The lives of the database: restored into another cluster, it numbers transactions anew, from below old ones.

Entries are therefore ordered by (epoch, transaction, id). An epoch belongs to one cluster, known by PostgreSQL's system
identifier; a new one begins when setup finds another cluster, or when a log was recovered.
"""

from datetime import datetime

from django.db import connection, transaction

from registry.models import Epoch
from registry.refusals import Mismatch


def current() -> Epoch:
    """Return the epoch that entries are written in now."""
    return Epoch.objects.latest("number")


def demanded() -> int:
    """Return the number of the current epoch; Mismatch when it was begun in another cluster than this."""
    epoch = current()
    if epoch.system != _system():
        raise Mismatch(
            "This database was restored into another PostgreSQL cluster, which numbers transactions anew. Run "
            "`manage.py setup_platform`, which begins a new epoch, before anything writes into it."
        )
    return epoch.number


def settle(now: datetime) -> None:
    """Begin a new epoch if this is another cluster than the last epoch's (as the owner of the table)."""
    if current().system != _system():
        begin(now)


def begin(now: datetime) -> Epoch:
    """Begin a new epoch: whatever is entered from now on comes after all that is there (as the owner of the table)."""
    number = current().number + 1
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE registry_ledgerentry ALTER COLUMN epoch SET DEFAULT {number:d}")
        return Epoch.objects.create(number=number, system=_system(), began_at=now)


def _system() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        return str(cursor.fetchone()[0])
