"""Who writes an entry, and as their how-manieth: numbers without a gap, so that an entry left out leaves one.

A writer is one thread of one process; it counts the entries of each log that it *committed*, from 1. Writers share
nothing, so counting costs no lock and no query.
"""

import os
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction


@dataclass(eq=False)
class _Written:
    """Entries of a transaction: Django calls this after its commit, and forgets it with its rollback."""

    writer: "Writer"
    log: str
    count: int

    def __call__(self) -> None:
        self.writer.committed[self.log] = self.writer.committed.get(self.log, 0) + self.count
        self.writer.open.remove(self)


@dataclass
class Writer:
    """One thread's identity and counts. `open`: what it does not yet know to be committed, in `session`."""

    name: str = field(default_factory=lambda: secrets.token_hex(8))
    process: int = field(default_factory=os.getpid)
    committed: dict[str, int] = field(default_factory=dict)
    open: list[_Written] = field(default_factory=list)
    session: Any = None

    def upcoming(self, log: str) -> int:
        """Return the number that this writer's next entry of a log has."""
        return self.committed.get(log, 0) + sum(mark.count for mark in self.open if mark.log == log) + 1

    def wrote(self, log: str, count: int) -> None:
        """Take note that the current transaction wrote `count` entries of a log, numbered from the upcoming one on.

        They count only once it commits; a rollback, of a savepoint too, gives the numbers back.
        """
        mark = _Written(self, log, count)
        self.open.append(mark)
        transaction.on_commit(mark)


_mine = threading.local()


def mine() -> Writer:
    """Return this thread's writer, rid of what was rolled back.

    When a session was lost, nobody can say whether its last commit took place: a new writer begins, so that no number
    is ever used twice. So it does in a forked process.
    """
    writer: Writer = getattr(_mine, "writer", None) or Writer()
    lost = False
    if writer.open:
        held = {id(action) for _, action, *_ in connection.run_on_commit}
        lost = any(id(mark) not in held for mark in writer.open)
    if writer.process != os.getpid() or (lost and writer.session is not connection.connection):
        writer = Writer()
    elif lost:
        writer.open = [mark for mark in writer.open if id(mark) in held]
    writer.session = connection.connection
    _mine.writer = writer
    return writer
