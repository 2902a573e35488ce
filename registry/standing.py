"""How each log stands against its promises: published within 10 s, cosigned within 60 s, nothing lost, no backlog."""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from registry import anchor, breaches, heads, ledger, publishing
from registry.models import Tree
from registry.refusals import Mismatch, Unavailable

PUBLISHED_WITHIN = 10.0  # seconds from an entry's commit to a published checkpoint over it
COSIGNED_WITHIN = heads.COSIGNED_WITHIN.total_seconds()

# The age of the first entry at or behind an index: in the tree, or waiting for its place.
_AGE = """
SELECT extract(epoch FROM clock_timestamp() - e.inserted_at)::float8
FROM registry_leaf l JOIN registry_ledgerentry e ON e.id = l.entry_id WHERE l.log = %s AND l.index = %s
"""


@dataclass(frozen=True)
class Standing:
    """One log. Seconds are the age of the first entry that still waits; None when none does."""

    log: str
    size: int
    published: int
    cosigned: int | None  # None where the policy demands no witness
    unsequenced_seconds: float | None
    unpublished_seconds: float | None
    uncosigned_seconds: float | None
    breaches: int
    fault: str

    def figures(self) -> dict[str, float | int | None]:
        """Return the numbers by name; seconds are 0 when nothing waits."""
        return {
            "size": self.size,
            "published_size": self.published,
            "cosigned_size": self.cosigned,
            "unsequenced_seconds": round(self.unsequenced_seconds or 0, 1),
            "unpublished_seconds": round(self.unpublished_seconds or 0, 1),
            "uncosigned_seconds": round(self.uncosigned_seconds or 0, 1),
            "breaches": self.breaches,
        }

    @property
    def faults(self) -> list[str]:
        """Return what breaks a promise, in words; nothing when the log stands as it should."""
        found = [self.fault] if self.fault else []
        if self.unpublished_seconds is not None and self.unpublished_seconds > PUBLISHED_WITHIN:
            found.append(
                f"an entry has waited {self.unpublished_seconds:.0f} s to be published, not {PUBLISHED_WITHIN:.0f}"
            )
        if self.uncosigned_seconds is not None and self.uncosigned_seconds > COSIGNED_WITHIN:
            found.append(
                f"an entry has waited {self.uncosigned_seconds:.0f} s to be cosigned, not {COSIGNED_WITHIN:.0f}"
            )
        if self.breaches:
            found.append(f"{self.breaches} breaches are unanswered; `manage.py breaches` lists them")
        return found


def of(log: str) -> Standing:
    """Return how a log stands now: a few short queries and three small files. What is wrong with those is a fault."""
    faults: list[str] = []
    published = _told(faults, log, _published) or 0
    cosigned = _told(faults, log, heads.cosigned)
    size = _size(log)
    waits = ledger.waiting_seconds(log)
    return Standing(
        log=log,
        size=size,
        published=published,
        cosigned=cosigned,
        unsequenced_seconds=waits,
        unpublished_seconds=_age(log, published) if published < size else waits,
        uncosigned_seconds=None if cosigned is None else _age(log, cosigned) if cosigned < size else waits,
        breaches=breaches.unanswered(log).count(),
        fault=" ".join(faults),
    )


def _told(faults: list[str], log: str, ask: Callable[[str], int | None]) -> int | None:
    """Return what is told about a log; None, and the reason among the faults, when nothing can be."""
    try:
        return ask(log)
    except (Mismatch, Unavailable) as refusal:
        faults.append(refusal.detail)
    return None


def _published(log: str) -> int:
    demand_unbroken(log)
    found = publishing.newest(log)
    return found.size if found else 0


def demand_unbroken(log: str) -> None:
    """Raise Mismatch when the database holds less of a log than its anchor, or another head of the same size.

    Also when a log that has grown has no anchor: what was rolled back could then not be told. The anchor is read first:
    it never runs ahead of a database that was not rolled back.
    """
    anchored = anchor.newest(log)
    if anchored is None and _size(log):
        anchored = anchor.newest(log)  # a new log may just have begun: its anchor is there before its first head
        if anchored is None:
            raise Mismatch(
                f"The {log} log has grown, but there is no anchor {anchor.path(log)}: nobody can tell whether the "
                "database was rolled back. No decision is accepted. Let this process read the folder of the anchor, or "
                "put the file back as `manage.py verify_ledger` says."
            )
    if anchored is None or anchored.size == 0:
        return
    size = _size(log)
    if size < anchored.size:
        raise anchor.cut(anchored, size)
    head = Tree.objects.filter(log=log, size=anchored.size).first()
    if head is None or bytes(head.root) != anchored.root:
        raise anchor.rewritten(anchored)


def demand_room(log: str) -> None:
    """Raise Unavailable when more entries wait for their place than may be owed."""
    limit = settings.LOG_BACKLOG
    owed = ledger.waiting(log)[: limit + 1].count()
    if owed > limit:
        raise Unavailable(
            f"More than {limit} entries of the {log} log wait for their place: the sequencer stands still or cannot "
            "keep up. Nothing is answered that could not be proven; try again when it has caught up."
        )


def _size(log: str) -> int:
    return Tree.objects.filter(log=log).order_by("-size").values_list("size", flat=True).first() or 0


def _age(log: str, index: int) -> float | None:
    with connection.cursor() as cursor:
        cursor.execute(_AGE, [log, index])
        row = cursor.fetchone()
    return row[0] if row else None
