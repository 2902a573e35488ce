"""Which request ids this host has sent to the database lately, so that a retry in an outage is not decided anew.

A worker that is killed may have committed a decision that it never answered. If the database is gone when the client
asks again, nobody can say so: then the request is refused until it is back, rather than decided twice.

A table in a file that the host's processes map: each slot is found by a hash of model and request_id, and holds eight
bytes of that hash and the last eight of the decision's identifier. A newer request takes the slot of an older one, so
it reaches back over about the last SLOTS requests. It needs no fsync: whoever maps it after a killed process sees all
that was written, and a crash of the machine ends the clients' connections too.
"""

import hashlib
import logging
import mmap
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from django.conf import settings

from scoring.models import Decision

SLOTS, WIDTH = 1 << 18, 16  # 4 MiB
MODE, FOLDER_MODE = 0o640, 0o750  # as the journal's, beside which it lies

log = logging.getLogger(__name__)


def note(decisions: Iterable[Decision]) -> None:
    """Note that these decisions are about to be sent, each under its request_id; the first under one stays noted."""
    table = _table(settings.HOME / "journal")
    for decision in decisions:
        if decision.request_id is not None:
            at, slot = _slot(decision)
            if table[at : at + 8] != slot[:8]:
                table[at : at + WIDTH] = slot


def otherwise(decision: Decision) -> bool:
    """Say whether another decision was sent under the same request_id before: it may be on record."""
    if decision.request_id is None:
        return False
    at, slot = _slot(decision)
    found = _table(settings.HOME / "journal")[at : at + WIDTH]
    return found[:8] == slot[:8] and found != slot


def _slot(decision: Decision) -> tuple[int, bytes]:
    """Return where in the table a decision stands, and what stands there."""
    told = decision.model_id.bytes + (decision.request_id or "").encode()
    key = hashlib.blake2b(told, digest_size=8).digest()
    return int.from_bytes(key) % SLOTS * WIDTH, key + decision.id.bytes[8:]


@cache
def _table(folder: Path) -> mmap.mmap:
    """Return the host's table; where the disk has no place for it, one that this process keeps to itself."""
    try:
        return _mapped(folder)
    except OSError as error:
        log.warning("%s cannot be kept (%s): a killed worker's requests are not known here", folder / "sent", error)
        return mmap.mmap(-1, SLOTS * WIDTH)


def _mapped(folder: Path) -> mmap.mmap:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    descriptor = os.open(folder / "sent", os.O_RDWR | os.O_CREAT, MODE)
    try:
        os.posix_fallocate(descriptor, 0, SLOTS * WIDTH)  # now, or a full disk would kill who writes to it later
        return mmap.mmap(descriptor, SLOTS * WIDTH)
    finally:
        os.close(descriptor)
