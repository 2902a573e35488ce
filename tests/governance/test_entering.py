"""Who may enter which event: each role its own, as itself, and with bytes that say what the columns say."""

import json
import uuid

import pytest
from django.db import connection, transaction
from django.db.utils import DataError, ProgrammingError

from governance.privileges import APP, EVENTS, GOVERNOR, ROLES, SCORING, SEQUENCER
from registry import ledger
from registry.ledger import DECISIONS, GOVERNANCE, LOGS, Event
from registry.models import LedgerEntry
from tests import builders

# event → who enters it, and in which log, where it is not the application in the log of governance
EXCEPTIONS = {
    "gap.acknowledged": {(APP, GOVERNANCE), (APP, DECISIONS)},
    "breach.acknowledged": {(APP, GOVERNANCE), (APP, DECISIONS)},
    "ledger.recovered": set(),
    "decision.answered": {(SCORING, DECISIONS)},
    "outcome.recorded": {(SCORING, DECISIONS), (APP, DECISIONS)},
    "override.recorded": {(SCORING, DECISIONS), (APP, DECISIONS)},
    "decision.explained": {(APP, DECISIONS)},
    "environment.seen": {(SCORING, GOVERNANCE), (APP, GOVERNANCE)},
    "deployment.refused": {(SCORING, GOVERNANCE)},
    "journal.drained": {(SCORING, GOVERNANCE)},
    "deployment.made": {(GOVERNOR, GOVERNANCE)},
    "order.refused": {(GOVERNOR, GOVERNANCE)},
    "policy.adopted": set(),  # set-up, as the owner
    "role.changed": set(),
}

WORDS = (
    *("row-level security", "permission denied", "invalid input syntax", "invalid byte sequence"),
    *("Unicode", "out of range"),
)


ANSWERED = {"answer": "1" * 64, "deployment": 1, "inputs": "2" * 64, "package": "3" * 64}


def dumped(told):
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def enter(role, *, log=GOVERNANCE, event="person.added", actor="user:1", data=None, **said):
    """Enter an event by raw SQL as a role; say whether the database took it."""
    named = {"event": event, "subject": "user:9", "actor": actor}
    entry = {"uuid": uuid.uuid4(), "log": log, "at": builders.now(), **named}
    if event == "decision.answered":
        entry["subject"] = named["subject"] = f"decision:{entry['uuid']}"
        said = {"facts": ANSWERED, "writer": ["a1", 1]} | said
    told = {"id": str(entry["uuid"]), "v": 1, "at": entry["at"].isoformat(), "facts": {}, "writer": ["w1", 1]}
    told |= {**named, **said}
    entry["bytes"] = dumped(told) if data is None else data(told)
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


OWN = {SCORING: "outcome.recorded", GOVERNOR: "deployment.made", APP: "person.added"}


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
        lambda told: dumped([told]),
        lambda told: dumped({"facts": told, "writer": ["w1", 1]}),
        lambda told: dumped({"at": 1, **told})[:-1] + b',"event":"deployment.made"}',
        lambda told: dumped(told).replace(b',"id"', b',"event":"deployment.made","id"'),
        lambda told: dumped(told).replace(b',"id"', b',"ev\\u0065nt":"person.added","id"'),
        lambda told: dumped(told).replace(b"{}", b'{"a":1,"a":2}'),
        lambda told: dumped(told).replace(b',"id"', b',\n"id"'),
        lambda told: dumped(told) + b"\n",
        lambda told: dumped(told).replace(b'"writer"', b'"\\u0077riter"'),
        lambda told: dumped(told).replace(b"{}", b'{"a":' + b"[" * 1500 + b"]" * 1500 + b"}"),
        lambda told: dumped(told).replace(b"{}", b'{"a":' * 20 + b"1" + b"}" * 20),
        lambda told: dumped(told).replace(b'["w1",1]', b'["w1",1.0]'),
        lambda told: dumped(told).replace(b'["w1",1]', b'["w1",1e0]'),
    ],
)
def test_bytes_that_say_it_in_another_form_are_refused(db, data):
    assert enter(APP, data=dumped)
    assert not enter(APP, data=data)


@pytest.mark.parametrize("name", ["v", "at", "facts", "writer", "id", "event", "subject", "actor"])
def test_an_entry_without_a_part_is_refused(db, name):
    assert not enter(APP, data=lambda told: dumped({key: value for key, value in told.items() if key != name}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("v", value) for value in (0, 2, "1", None, [1])),
        *(("facts", value) for value in (None, [], "facts", 1)),
        *(("writer", value) for value in (None, "w1", [], ["w1"], [1, "w1"], ["w1", "1"], ["w1", True], ["w1", 1, 2])),
        *(("writer", [value, 1]) for value in ("", "w" * 41, "字" * 1150, "w\0", 'w"', ["w"], None)),
        *(("writer", ["w1", value]) for value in (0, -1, 1.5, None, 10**18, [1])),
        *(("at", value) for value in (None, 1, "", "now", "infinity", "yesterday", "2026-01-01T24:00:00+00:00")),
        *(("at", value) for value in ("2026-01-01T00:00:00+00:00", "2026-01-01", "2026-99-01T00:00:00+00:00")),
    ],
)
def test_a_part_of_another_form_is_refused(db, name, value):
    assert not enter(APP, **{name: value})


@pytest.mark.parametrize(
    "lie",
    [
        *({name: value} for name, value in (("subject", "decision:x"), ("id", str(uuid.UUID(int=0))), ("v", 2))),
        *({"facts": {**ANSWERED, **other}} for other in ({"answer": "1" * 63}, {"deployment": "1"}, {"more": 1})),
        {"facts": {}},
        {"actor": "user:2"},
        {"event": "outcome.recorded"},
        {"at": "2026-01-01T00:00:00.000000+00:00"},
        {"writer": ["A1", 1]},
        {"writer": ["a1", 0]},
        {"more": 1},
    ],
)
def test_an_answer_has_one_form(db, lie):
    answer = {"log": DECISIONS, "event": "decision.answered"}
    assert enter(SCORING, **answer, actor="user:1")
    assert not enter(SCORING, **answer, data=lambda told: dumped({**told, **lie}))


JOURNAL = f"{'a' * 32}/17/{'b' * 64}"


def test_an_answer_that_a_journal_kept_says_so_in_one_form(db):
    answer = {"log": DECISIONS, "event": "decision.answered"}
    assert enter(SCORING, **answer, facts={**ANSWERED, "journal": JOURNAL})
    said = [
        JOURNAL.upper(),
        JOURNAL.replace("/17", "/017"),
        JOURNAL.replace("/17", ""),
        f"{JOURNAL}0",
        f" {JOURNAL}",
        17,
    ]
    for lie in (*said, "", None, f'{JOURNAL}","more":"1'):
        assert not enter(SCORING, **answer, facts={**ANSWERED, "journal": lie}), lie
    assert not enter(SCORING, **answer, facts={**ANSWERED, "diary": JOURNAL})
    assert not enter(SCORING, **answer, facts={**ANSWERED, "journal": JOURNAL}, writer=["A1", 1])
    assert not enter(SCORING, **answer, facts={**ANSWERED, "journal": JOURNAL, "package": "3" * 63})


@pytest.mark.parametrize("actor", ["service:scoring", 'user:1","at":"x'])
def test_an_answer_is_given_to_a_person_or_their_program(db, actor):
    assert not enter(SCORING, log=DECISIONS, event="decision.answered", actor=actor)


def test_an_answer_is_entered_once(db):
    made = []
    answer = {"log": DECISIONS, "event": "decision.answered"}
    assert enter(SCORING, **answer, data=lambda told: made.append(told["id"]) or dumped(told))
    assert not enter(SCORING, **answer, data=lambda told: dumped({**told, "subject": f"decision:{made[0]}"}))


def test_names_of_forty_letters_and_quotes_in_facts_are_taken(db):
    assert enter(APP, writer=["字" * 40, 10**18 - 1], facts={"said": '"\\\n,"writer":["w1",1]}', "n": [[{"a": [1.5]}]]})


def test_a_moment_is_said_in_the_one_form_that_compares_as_text(db):
    assert enter(APP, data=dumped)
    assert not enter(APP, data=lambda told: dumped({**told, "at": told["at"].replace("+00:00", "Z")}))
    assert not enter(APP, data=lambda told: dumped({**told, "at": told["at"].replace("T", " ")}))


def test_what_the_platform_enters_has_the_form_that_is_demanded(people):
    moment = builders.now().replace(microsecond=0)  # then its text has no fraction
    facts = {"text": '字\n"\\', "empty": {}, "deep": [[[[{"a": None}]]]]}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {APP}")
        made = ledger.append(Event.PERSON_ADDED, subject="user:9", actor="user:1", at=moment, facts=facts)
        cursor.execute("RESET ROLE")
    assert ledger.facts_of(made) == facts


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
