"""The monthly partitions of the table of decisions, made ahead by a function of the database that can do nothing else.

A decision's identifier is a UUIDv7, so its range is its time. Where no month was made for one, it goes to the default
partition and is as good there: no decision fails for want of a partition. `/health` tells of it.
"""

from datetime import datetime, timedelta

from django.db import connection

NOTICE = timedelta(days=7)  # how long before its beginning a month that is missing is told of
_MAKE = "SELECT countersign_make_partitions()"
_PLACED = "SELECT countersign_placed(countersign_first_id(%s::timestamptz AT TIME ZONE 'UTC'))"


def make() -> int:
    """Make the partitions of this month and of three more, those that are not there; return how many were made."""
    with connection.cursor() as cursor:
        cursor.execute(_MAKE)
        return int(cursor.fetchone()[0])


def missing(now: datetime) -> str | None:
    """Say which partition is missing that the decisions of now, or of the next days, belong to."""
    if not _placed(now):
        return "Decisions go to the default partition: none was made for this month. Is `beat` running, and its worker?"
    if not _placed(now + NOTICE):
        return f"There is no partition for decisions in {NOTICE.days} days. Is `beat` running, and its worker?"
    return None


def _placed(moment: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_PLACED, [moment])
        return bool(cursor.fetchone()[0])
