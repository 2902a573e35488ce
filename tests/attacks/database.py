"""What a role of a server, or the database's owner with the triggers on, tries in SQL: the database itself refuses."""

from collections import Counter
from functools import partial

import psycopg
from django.apps import apps

from governance import privileges
from tests.attacks import NotCaughtError, attack
from tests.attacks.forging import enter
from tests.attacks.world import denied, now, refused

CHANGES = ("UPDATE {} SET {key} = {key}", "DELETE FROM {}", "TRUNCATE {} CASCADE")


def append_only() -> dict[str, str]:
    """Return each append-only table and its first column."""
    models = [model for name in privileges.APPS for model in apps.get_app_config(name).get_models()]
    tables = {m._meta.db_table: m._meta.local_concrete_fields[0].column for m in models}
    return {table: key for table, key in tables.items() if table not in privileges.UPDATES}


def changed(session, words: str, before: str = "SELECT 1") -> str:
    """Try to change every append-only table in every way; return how many tries were refused, in which words."""
    refusals, tables = Counter(), append_only()
    for table, key in tables.items():
        for change in CHANGES:
            try:
                with session.transaction(force_rollback=True):
                    session.execute(before)
                    session.execute(change.format(table, key=f'"{key}"'))
            except psycopg.Error as error:
                refusals[words in str(error)] += 1
            else:
                raise NotCaughtError(change.format(table, key=key))
    if refusals[False]:
        raise RuntimeError(f"{refusals[False]} were refused for another reason")
    return f"{refusals[True]} of {len(tables) * len(CHANGES)} refused: “{words}”"


@attack
def change_rows_as_a_server(world):
    """The app's role updates, deletes or truncates an append-only table"""
    with world.role("app") as session:
        return changed(session, "permission denied")


@attack
def silence_triggers_as_a_server(world):
    """The app's role silences triggers or policies, or becomes the owner"""
    tries = (
        ("SET session_replication_role = replica", "permission denied"),
        ("ALTER TABLE scoring_decision DISABLE TRIGGER ALL", "must be owner"),
        ("DROP TRIGGER append_only ON registry_ledgerentry", "must be owner"),
        ("ALTER TABLE registry_ledgerentry DISABLE ROW LEVEL SECURITY", "must be owner"),
        ("CREATE OR REPLACE FUNCTION countersign_append_only() RETURNS trigger LANGUAGE sql AS 'SELECT 1'", "denied"),
        ("SET ROLE countersign_owner", "permission denied"),
        ("CREATE TEMPORARY TABLE governance_signature (id int)", "permission denied"),
    )
    with world.role("app") as session:
        said = [denied(session, sql, words=words) for sql, words in tries]
    return f"{len(said)} of {len(tries)} refused: {said[0]}, {said[1]}"


@attack
def replay_as_a_replica(world):
    """A superuser sets session_replication_role = replica, then changes rows"""
    return changed(world.owner, "never changed", "SET LOCAL session_replication_role = replica")


@attack
def read_secrets_as_scoring(world):
    """Scoring's role reads password hashes, signatures or the log's entries"""
    tries = ("password FROM registry_user", "reason FROM governance_signature", "bytes FROM registry_ledgerentry")
    with world.role("scoring") as session:
        said = [denied(session, f"SELECT {what}") for what in tries]
    return f"{len(said)} of {len(tries)} refused: {said[0]}"


@attack
def enter_what_another_enters(world):
    """A role enters another's event, or speaks for another service"""
    tries = (
        ("scoring", "governance", "approval.signed", "user:1"),
        ("app", "decisions", "decision.answered", "user:1"),
        ("app", "governance", "deployment.made", "user:1"),
        ("app", "governance", "policy.adopted", "service:setup"),
        ("governor", "governance", "approval.signed", "user:1"),
        ("governor", "governance", "order.refused", "service:scoring"),
    )
    said = []
    with world.role("app") as session, session.transaction(force_rollback=True):  # its own it may enter
        enter(session, event="approval.signed", actor="user:1", at=now())
    for role, log, event, actor in tries:
        with world.role(role) as session, session.transaction(force_rollback=True):
            act = partial(enter, session, log=log, event=event, actor=actor, at=now())
            said.append(refused(psycopg.Error, "row-level security", act))
    return f"{len(said)} of {len(tries)} refused: {said[0]}"


@attack
def write_what_the_database_fills(world):
    """The app's role chooses an entry's transaction, epoch or time, or writes the tree"""
    tries = (
        "INSERT INTO registry_ledgerentry (xid) VALUES ('3')",
        "INSERT INTO registry_ledgerentry (epoch) VALUES (0)",
        "INSERT INTO registry_ledgerentry (inserted_at) VALUES (now())",
        "INSERT INTO registry_leaf (log, index, entry_id) VALUES ('governance', 0, 1)",
        "INSERT INTO registry_tree (log, size, previous, root, at) VALUES ('governance', 9, 8, 'x', now())",
        "INSERT INTO registry_checkpoint (tree_id, note, signed_at) VALUES (1, 'x', now())",
    )
    with world.role("app") as session:
        said = [denied(session, sql) for sql in tries]
    return f"{len(said)} of {len(tries)} refused: {said[0]}"


@attack
def fork_in_the_database(world):
    """The sequencer's role puts a second head after the same head"""
    size, previous = world.one(
        "SELECT size, previous FROM registry_tree WHERE log = 'governance' ORDER BY size LIMIT 1"
    )
    fork = "INSERT INTO registry_tree (log, size, previous, root, at) VALUES ('governance', %s, %s, 'x', now())"
    with world.role("sequencer") as session:
        return denied(session, fork, [size + 100000, previous], words="one_successor_per_head")
