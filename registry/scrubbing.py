"""Walk the artifact store and hash everything again: bytes that were lost or changed are found before they are needed.

Loading verifies what is loaded; this verifies what nobody loads. Each file's verdict is a row, the newest one counts;
what turned out damaged, or sound again, is entered. Files that no row names are left by intakes that came to nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.core.files.storage import storages
from django.db import connection, transaction

from registry import artifacts, ledger
from registry.ledger import Event
from registry.models import ArtifactCheck
from registry.refusals import Mismatch
from registry.registrations import INTAKE

SOUND, MISSING, CHANGED = "sound", "missing", "changed"
BYTES_A_TURN = 1024**3  # hashed by one turn of the beat, so that the walk disturbs nobody

# Every digest that a row names, with the newest verdict on it; those never looked at first, then the longest ago.
_NAMED = """
WITH named AS (
    SELECT f.value ->> 'sha256' AS digest, (f.value ->> 'size')::bigint AS size
    FROM registry_modelversion v CROSS JOIN LATERAL jsonb_each(v.artifact) AS f
    UNION SELECT digest, 0 FROM registry_dataset
    UNION SELECT sha256, size FROM registry_intakefile
), once AS (SELECT digest, max(size) AS size FROM named GROUP BY digest)
SELECT o.digest, o.size, c.verdict FROM once o
LEFT JOIN LATERAL (
    SELECT verdict, checked_at FROM registry_artifactcheck k WHERE k.digest = o.digest ORDER BY k.id DESC LIMIT 1
) AS c ON true
ORDER BY c.checked_at NULLS FIRST, o.digest
"""


@dataclass(frozen=True)
class Found:
    """A file that is not as it was stored: its digest, and whether it is missing or changed."""

    digest: str
    verdict: str


def turn(now: datetime, *, most: int | None = BYTES_A_TURN) -> list[Found]:
    """Hash the files that were not looked at for longest, at the most so many bytes (None: all); return the damaged."""
    damaged, left = [], most
    for digest, size, before in _named():
        if left is not None:
            if left < 0:
                break
            left -= size
        verdict = _verdict(digest)
        _keep(digest, verdict, before, now)
        if verdict != SOUND:
            damaged.append(Found(digest, verdict))
    return damaged


def damaged() -> list[Found]:
    """Return what was not as stored when it was looked at last."""
    return [Found(digest, verdict) for digest, _, verdict in _named() if verdict not in (None, SOUND)]


def orphans() -> list[str]:
    """Return the names of stored files that no row names; they harm nobody and may be removed by hand."""
    known = {digest for digest, _, _ in _named()}
    return sorted(name for name in _stored() if name not in known)


def _verdict(digest: str) -> str:
    try:
        return SOUND if artifacts.rehash(digest) == digest else CHANGED
    except Mismatch:
        return MISSING


@transaction.atomic
def _keep(digest: str, verdict: str, before: str | None, now: datetime) -> None:
    ArtifactCheck.objects.create(digest=digest, verdict=verdict, checked_at=now)
    if verdict != (before or SOUND):
        event = Event.ARTIFACT_DAMAGED if verdict != SOUND else Event.ARTIFACT_RESTORED
        facts = {"artifact": digest, "verdict": verdict}
        ledger.append(event, subject=f"artifact:{digest}", actor=INTAKE, at=now, facts=facts)


def _named() -> list[tuple[str, int, str | None]]:
    with connection.cursor() as cursor:
        cursor.execute(_NAMED)
        return [(digest, int(size), verdict) for digest, size, verdict in cursor.fetchall()]


def _stored() -> Iterator[str]:
    """Yield the names of the files in the store, which lie two folders deep under the beginning of their digest."""
    store = storages["artifacts"]
    for first in store.listdir("")[0]:
        for second in store.listdir(first)[0]:
            yield from store.listdir(f"{first}/{second}")[1]
