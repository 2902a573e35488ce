"""TransactionId, the column that says which transaction inserted a row, and what is settled by it.

Identifiers and moments are made before a commit, so a row may appear behind one already seen. Rows taken in the order
(transaction, id), and only below the oldest transaction still running, cannot: none can appear behind them afterwards.
"""

from typing import Any

from django.db import models
from django.db.models import Func, Q, QuerySet


class TransactionId(models.Field):
    """PostgreSQL's number of the inserting transaction (xid8, never reused); an int in Python."""

    description = "the transaction that inserted the row"

    def db_type(self, connection: Any) -> str:
        """Name PostgreSQL's type."""
        return "xid8"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        """Read the text that PostgreSQL sends for this type."""
        return None if value is None else int(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Send text: PostgreSQL casts no integer to this type."""
        return str(value) if isinstance(value, int) else value


class InsertingTransaction(TransactionId):
    """The transaction that inserted the row, by the column's default: no INSERT of Django's names the column.

    So no role needs a right to it, and nobody can write another number. To migrations it is a TransactionId.
    """

    generated = True  # what Django leaves out of INSERT and UPDATE, and reads back afterwards

    def deconstruct(self) -> Any:
        """Let Django make the column as one with a default, not as a computed one."""
        name, _, args, kwargs = super().deconstruct()
        return name, f"{TransactionId.__module__}.{TransactionId.__name__}", args, kwargs


class CurrentTransaction(Func):
    """The transaction that inserts: the default of such a column."""

    function = "pg_current_xact_id"
    output_field = TransactionId()


class OldestRunning(Func):
    """The oldest transaction still running anywhere on the server: everything below it is settled."""

    template = "pg_snapshot_xmin(pg_current_snapshot())"
    output_field = TransactionId()


def settled_behind(rows: QuerySet[Any], transaction: int, pk: Any) -> QuerySet[Any]:
    """Return the settled rows behind a place (transaction, id), in that order."""
    later = Q(xid__gt=transaction) | Q(xid=transaction, pk__gt=pk)
    return rows.filter(later, xid__gte=transaction, xid__lt=OldestRunning()).order_by("xid", "pk")
