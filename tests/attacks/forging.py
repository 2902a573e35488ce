"""What a forger of the log writes: entries of one's own, one that says something else, a tree that agrees with it."""

import json
import secrets
import uuid

import orjson

from registry.ledger import GOVERNANCE
from registry.models import LedgerEntry, Tile, Tree
from registry.tlog import merkle


def forge(execute, *, columns=True):
    """Say that somebody else registered the first version."""
    entry = LedgerEntry.objects.filter(event="version.registered").earliest("id")
    said = json.loads(bytes(entry.bytes)) | {"actor": "user:999"}
    execute("UPDATE registry_ledgerentry SET bytes = %s WHERE id = %s", [json.dumps(said).encode(), entry.pk])
    if columns:
        execute("UPDATE registry_ledgerentry SET actor = 'user:999' WHERE id = %s", [entry.pk])


def forge_tree(execute):
    """Recompute every tile and head over the entries as they now are."""
    rows = LedgerEntry.objects.filter(leaf_row__log=GOVERNANCE).order_by("leaf_row__index")
    leaves = [merkle.leaf_hash(bytes(data)) for data in rows.values_list("bytes", flat=True)]
    for tile in Tile.objects.filter(log=GOVERNANCE, level=0):
        held = leaves[tile.number * 256 : tile.number * 256 + 256]
        execute(
            "UPDATE registry_tile SET hashes = %s, root = %s WHERE id = %s",
            [b"".join(held), merkle.root_of(held), tile.pk],
        )
    for head in Tree.objects.filter(log=GOVERNANCE):
        execute("UPDATE registry_tree SET root = %s WHERE id = %s", [merkle.root_of(leaves[: head.size]), head.pk])


def cut(execute, kept):
    """Delete every entry from this place of the governance log on, with its heads, checkpoints and cosignatures."""
    for table in ("registry_checkpoint", "registry_cosignature"):
        execute(
            f"DELETE FROM {table} USING registry_tree t WHERE t.id = tree_id AND log = 'governance' AND size > %s",
            [kept],
        )
    execute("DELETE FROM registry_tree WHERE log = 'governance' AND size > %s", [kept])
    execute("DELETE FROM registry_tile WHERE log = 'governance' AND (number + 1) * (256 ^ (level + 1)) > %s", [kept])
    execute(
        "WITH gone AS (DELETE FROM registry_leaf WHERE log = 'governance' AND index >= %s RETURNING entry_id)"
        " DELETE FROM registry_ledgerentry WHERE id IN (SELECT entry_id FROM gone)",
        [kept],
    )


def enter(session, *, event, actor, at, subject="version:1", log=GOVERNANCE, facts=None, writer=None):
    """Enter an event by SQL in exactly the platform's form; `writer`: name and number, one of one's own without it."""
    number = uuid.uuid4()
    said = {"v": 1, "id": str(number), "at": at.isoformat(), "event": event, "subject": subject, "actor": actor}
    said |= {"facts": facts or {}, "writer": writer or [secrets.token_hex(8), 1]}
    session.execute(
        "INSERT INTO registry_ledgerentry (uuid, log, event, subject, actor, at, bytes)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [number, log, event, subject, actor, at, orjson.dumps(said, option=orjson.OPT_SORT_KEYS)],
    )
