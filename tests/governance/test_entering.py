"""Who may enter which event: each role its own, as itself, and with bytes that say what the columns say."""

import json
import uuid

import pytest
from django.db import connection, transaction
from django.db.utils import DataError, ProgrammingError

from governance.privileges import APP, EVENTS, GOVERNOR, ROLES, SCORING, SEQUENCER
from registry.ledger import DECISIONS, GOVERNANCE, LOGS
from registry.models import LedgerEntry
from tests import builders

# event → who enters it, and in which log, where it is not the application in the log of governance
EXCEPTIONS = {
    "gap.acknowledged": {(APP, GOVERNANCE), (APP, DECISIONS)},
    "breach.acknowledged": {(APP, GOVERNANCE), (APP, DECISIONS)},
    "ledger.recovered": set(),
    "decision.answered": {(SCORING, DECISIONS)},
    "outcome.recorded": {(SCORING, DECISIONS), (APP, DECISIONS)},
    "deployment.refused": {(SCORING, GOVERNANCE)},
    "deployment.made": {(GOVERNOR, GOVERNANCE)},
    "order.refused": {(GOVERNOR, GOVERNANCE)},
    "policy.adopted": set(),  # set-up, as the owner
    "role.changed": set(),
}

WORDS = ("row-level security", "permission denied", "invalid input syntax", "invalid byte sequence")


def enter(role, *, log=GOVERNANCE, event="person.added", actor="user:1", data=None, **said):
    """Enter an event by raw SQL as a role; say whether the database took it."""
    named = {"event": event, "subject": "user:9", "actor": actor}
    entry = {"uuid": uuid.uuid4(), "log": log, "at": builders.now(), **named}
    told = {"id": str(entry["uuid"]), "facts": {}, **named, **said}
    entry["bytes"] = json.dumps(told).encode() if data is None else data(told)
    before = LedgerEntry.objects.count()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(
                f"INSERT INTO registry_ledgerentry ({', '.join(entry)}) VALUES ({', '.join(['%s'] * len(entry))})",
                list(entry.values()),
            )
    except (ProgrammingError, DataError) as error:
        assert any(words in str(error) for words in WORDS)
        assert LedgerEntry.objects.count() == before
        return False
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
    return True


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_exactly_the_writers_it_needs(db, event):
    may = {(role, log) for role in ROLES for log in LOGS if enter(role, log=log, event=event)}
    assert may == EXCEPTIONS.get(event, {(APP, GOVERNANCE)})


def test_the_exceptions_are_events_and_no_two_apps_share_one():
    assert set(EXCEPTIONS) <= set(EVENTS)
    assert len(set(EVENTS)) == len(EVENTS)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_enters_what_is_no_event_or_in_no_log(db, role):
    assert not enter(role, event="person.crowned")
    assert not enter(role, log="elsewhere")


OWN = {SCORING: "decision.answered", GOVERNOR: "deployment.made", APP: "person.added"}


@pytest.mark.parametrize("role", OWN)
def test_nobody_enters_under_the_name_of_another_service(db, role):
    log = DECISIONS if role == SCORING else GOVERNANCE
    names = {"user:1", "service:scoring", "service:governor", "service:sequencer", "service:setup", "service:web"}
    may = {name for name in names if enter(role, log=log, event=OWN[role], actor=name)}
    assert may == {"user:1", {SCORING: "service:scoring", GOVERNOR: "service:governor", APP: "service:web"}[role]}


@pytest.mark.parametrize(
    "lie",
    [
        {"event": "deployment.made"},
        {"actor": "service:governor"},
        {"subject": "user:10"},
        {"id": str(uuid.UUID(int=0))},
    ],
)
def test_the_bytes_say_what_the_columns_say(db, lie):
    assert enter(APP)
    assert not enter(APP, **lie)


@pytest.mark.parametrize(
    "data",
    [
        lambda told: b"x",
        lambda told: b"[]",
        lambda told: b"\xff",
        lambda told: json.dumps([told]).encode(),
        lambda told: json.dumps({"facts": told}).encode(),
        lambda told: json.dumps(told).encode()[:-1] + b', "event": "deployment.made"}',
        lambda told: json.dumps(told).encode()[:-1] + b', "ev\\u0065nt": "deployment.made"}',
    ],
)
def test_bytes_that_say_it_in_another_form_are_refused(db, data):
    assert not enter(APP, data=data)


def test_nobody_but_the_sequencer_and_the_pages_reads_entries(db):
    enter(APP)
    for role, may in ((APP, True), (SEQUENCER, True), (SCORING, False), (GOVERNOR, False)):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {role}")
            if may:
                cursor.execute("SELECT count(*) FROM registry_ledgerentry")
                assert cursor.fetchone()[0] >= 1
            else:
                with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                    cursor.execute("SELECT bytes FROM registry_ledgerentry")
            cursor.execute("RESET ROLE")
