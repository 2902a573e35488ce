"""What somebody who writes rows, as the database's owner or a server, does to the record."""

import io
import subprocess
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psycopg
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from governance.demo.clients import until
from governance.platform.home import Home
from governance.platform.postgres import SUPERUSER
from governance.platform.postgres_binaries import find, runner
from registry import publishing, sequencing
from registry.ledger import DECISIONS, GOVERNANCE
from registry.models import Tree
from registry.refusals import Mismatch
from registry.tlog.trust import Policy
from tests.attacks import NotCaughtError, attack
from tests.attacks.forging import cut, enter, forge, forge_tree
from tests.attacks.world import SOON, now, refused, unsigned, verify_ledger

LOG = (
    *("registry_ledgerentry", "registry_leaf", "registry_tile", "registry_tree"),
    *("registry_checkpoint", "registry_cosignature"),
)


@contextmanager
def rewritten(world):
    """Hold the sequencer still, let the caller write to the log as its owner, put every row back."""
    with world.stopped(), world.kept(*LOG):
        yield lambda: world.unguarded(*LOG)


def verified(log: str) -> None:
    """Demand that verify_log accepts the published log."""
    call_command("verify_log", str(publishing.folder(log)), policy=str(settings.LOG_POLICY_FILE), stdout=io.StringIO())


def verify_log(log: str, words: str) -> str:
    """Return what verify_log says of the published log, from its files alone, once its head is cosigned."""
    until_cosigned(log)
    return "verify_log " + refused(CommandError, words, lambda: verified(log))


def until_cosigned(log: str) -> None:
    """Wait until the newest head is published with its quorum: witnesses are asked every few seconds at most."""
    policy = Policy.parse(settings.LOG_POLICY_FILE.read_bytes())

    def look():
        with suppress(Mismatch):
            return (
                policy.verify(publishing.note(log)).checkpoint.size == Tree.objects.filter(log=log).latest("size").size
            )

    until("a cosigned checkpoint", look, SOON)


def unanswered(world, words: str) -> str:
    """Return how scoring refuses to answer on a record that was cut or rewritten."""
    look = lambda: (a := world.score()).status_code == 503 and words in a.text and a  # noqa: E731
    return f"scoring {until('scoring refuses', look, SOON).status_code}"


@attack
def rewrite_an_entry(world):
    """A superuser, triggers off, rewrites an entry's bytes; then its columns too"""
    with rewritten(world) as writing:
        with writing() as execute:
            forge(execute, columns=False)
        said = verify_ledger("columns do not repeat")
        with writing() as execute:
            forge(execute)
        return f"{said}; {verify_ledger('do not hash to the head signed over them')}"


@attack
def rewrite_the_whole_tree(world):
    """A superuser rewrites an entry, every tile and head, and removes the checkpoints"""
    with rewritten(world) as writing:
        with writing() as execute:
            forge(execute)
        with writing() as execute:
            forge_tree(execute)
            execute("DELETE FROM registry_checkpoint")
        said = verify_ledger("they were rewritten afterwards")
        unsigned("they were rewritten afterwards", lambda: sequencing.Sequencer.open(GOVERNANCE))
        return f"{said}; sequencer stops; {world.red('rewritten')}; {unanswered(world, 'rewritten')}"


@attack
def cut_the_tail(world):
    """A superuser deletes the newest entries with their heads and checkpoints"""
    size = Tree.objects.filter(log=GOVERNANCE).latest("size").previous
    with rewritten(world) as writing:
        with writing() as execute:
            cut(execute, size)
        said = verify_ledger("its log was cut")
        unsigned("its log was cut", lambda: sequencing.Sequencer.open(GOVERNANCE))
        return f"{said}; {world.red('was cut')}; {unanswered(world, 'was cut')}"


@attack
def restore_an_old_backup(world):
    """A superuser restores a pg_dump from before the newest decisions"""
    programs = find(runner(Home.named(world.home))).folder
    with exchanged(world, programs):
        caught = f"{world.red('rolled back')}; {unanswered(world, 'rolled back')}"
        return f"{caught}; {unsigned('rolled back', lambda: sequencing.Sequencer.open(DECISIONS))}"


@contextmanager
def exchanged(world, programs: Path):
    """Put a backup in the place of the database, after one more decision; afterwards put the true one back."""
    at = world.platform.database(SUPERUSER)
    dump = world.home / "old.dump"
    subprocess.run([programs / "pg_dump", "-Fc", "-d", at, "-f", dump], check=True, capture_output=True)
    until("scoring answers", lambda: world.score().status_code == 200, SOON)
    world.calm()
    name = world.one("SELECT current_database()")[0]
    with psycopg.connect(at, dbname="postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS old")
        admin.execute("CREATE DATABASE old TEMPLATE template0")
        old = at.replace(f"/{name}?", "/old?")
        subprocess.run([programs / "pg_restore", "--exit-on-error", "-d", old, dump], check=True, capture_output=True)
        _rename(world, admin, {name: "true", "old": name})
        try:
            yield
        finally:
            _rename(world, admin, {name: "old", "true": name})
            admin.execute("DROP DATABASE old")


def _rename(world, admin, names: dict[str, str]) -> None:
    world.owner.close()
    connection.close()
    for before, after in names.items():
        for _ in range(50):
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [before])
            try:
                admin.execute(f'ALTER DATABASE "{before}" RENAME TO "{after}"')
                break
            except psycopg.errors.ObjectInUse:
                time.sleep(0.02)
    world.owner = world.connect(SUPERUSER)


def drop(world, decision: str) -> str:
    """Delete a decision and its entry, which has no place yet, as if it had never been; return its writer."""
    writer = world.one(
        "SELECT convert_from(bytes, 'UTF8')::jsonb #>> '{writer,0}' FROM registry_ledgerentry WHERE subject = %s",
        [f"decision:{decision}"],
    )[0]
    with world.unguarded("registry_ledgerentry", "scoring_decision") as execute:
        execute("DELETE FROM registry_ledgerentry WHERE subject = %s", [f"decision:{decision}"])
        execute("DELETE FROM scoring_decision WHERE id = %s", [decision])
    return writer


def gap(world) -> None:
    """Drop a decision between its commit and its sequencing, and let its writer go on."""
    later = (
        "SELECT 1 FROM registry_ledgerentry WHERE convert_from(bytes, 'UTF8')::jsonb #>> '{writer,0}' = %s"
        " AND NOT EXISTS (SELECT FROM registry_leaf l WHERE l.entry_id = registry_ledgerentry.id)"
    )
    with world.stopped():
        writer = drop(world, world.score().json()["decision_id"])
        for _ in range(200):
            world.score()
            if world.one(later, [writer]):
                return
    raise RuntimeError("the writer of the decision answered nothing more")


@attack
def drop_a_decision_before_it_is_sequenced(world):
    """A superuser deletes a decision and its entry before it has its place"""
    gap(world)
    return f"{world.breach('is missing')}; {verify_log(DECISIONS, 'is missing')}"


@attack
def delete_the_breach(world):
    """A superuser deletes such a decision, and then the breach that tells of it"""
    gap(world)
    world.breach("is missing")
    with world.kept("registry_breach"):
        with world.unguarded("registry_breach") as execute:
            execute("DELETE FROM registry_breach WHERE kind = 'gap'")
        return verify_log(DECISIONS, "entry acknowledges it")


def slip_in(world, *, ahead: int, ago: timedelta) -> None:
    """Enter something as the app's role under the writer that set the platform up, and wait until it has its place."""
    found = world.one(
        "SELECT writer FROM registry_leaf WHERE log = 'governance' AND writer <> '' ORDER BY index LIMIT 1"
    )
    last = world.one("SELECT max(number) FROM registry_leaf WHERE log = 'governance' AND writer = %s", found)[0]
    with world.role("app") as session:
        writer = [found[0], last + ahead]
        enter(session, event="model.tagged", subject="model:1", actor="user:1", at=now() - ago, writer=writer)
    until("it has its place", world.placed, SOON)


@attack
def slip_an_entry_in(world):
    """The app's role enters something under a number that another writer used"""
    slip_in(world, ahead=0, ago=timedelta())
    return world.breach("comes twice or late")


@attack
def drop_a_writers_last_entry(world):
    """A superuser deletes an unsequenced decision and kills its server, so that no later number shows the gap"""
    with world.stopped():
        drop(world, world.score().json()["decision_id"])
        world.platform.kill("scoring")
    until("scoring answers", lambda: (world.answers() or {}).get("score") is not None)
    world.calm()
    until_cosigned(DECISIONS)
    call_command("verify_ledger", stdout=io.StringIO())
    verified(DECISIONS)
    raise NotCaughtError("health, verify_ledger and verify_log find nothing")
