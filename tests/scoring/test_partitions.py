"""The table of decisions in parts of a month: none falls through, nobody gets at a part, what was there stays so."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from governance import privileges
from scoring import partitions
from scoring.models import Decision
from tests import builders, running

PARTS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'scoring_decision'::regclass ORDER BY 1"


def parts():
    with connection.cursor() as cursor:
        cursor.execute(PARTS)
        return [name for (name,) in cursor.fetchall()]


def part_of(decision):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM scoring_decision WHERE id = %s", [decision.pk])
        return cursor.fetchone()[0]


def made_at(moment):
    """An identifier as a decision of this moment has it."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | 5)


def copied(decision, moment):
    fields = {f.attname: getattr(decision, f.attname) for f in Decision._meta.concrete_fields if f.name != "xid"}
    return Decision.objects.create(**fields | {"id": made_at(moment), "request_id": None})


def take_away_the_last():
    """Let a month be missing, as it is when nothing made it; return its first day."""
    last = [name for name in parts() if name.startswith("scoring_decision_2")][-1]
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE scoring_decision DETACH PARTITION {last}")
        cursor.execute(f"DROP TABLE {last}")
    year, month = map(int, last[-7:].split("_"))
    return datetime(year, month, 1, tzinfo=UTC)


def refused(statement, role=None):
    """Return what the database says to a statement, by its owner or by a role."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if role:
                cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(statement)
    except DatabaseError as error:
        return str(error)
    return None


def test_a_decision_lies_in_the_part_of_its_time_and_one_of_any_time_is_taken(people):
    builders.a_champion(people)
    decision = builders.a_decision(people)
    now = builders.now()
    assert part_of(decision).startswith("scoring_decision_before_")
    coming = now + timedelta(days=40)
    assert part_of(copied(decision, coming)) == f"scoring_decision_{coming:%Y_%m}"
    assert part_of(copied(decision, now - timedelta(days=9000))).startswith("scoring_decision_before_")
    assert part_of(copied(decision, now + timedelta(days=400))) == "scoring_decision_default"
    assert Decision.objects.count() == 4
    with pytest.raises(DatabaseError, match="duplicate key"), transaction.atomic():
        copied(decision, coming)


def test_what_is_missing_is_told_of_and_made_once(people):
    assert partitions.make() == 0, "set-up made them"
    now = builders.now()
    assert partitions.missing(now) is None
    assert "default partition" in partitions.missing(now + timedelta(days=200))
    month = take_away_the_last()
    assert partitions.missing(month - timedelta(days=8)) is None
    assert "no partition for decisions in 7 days" in partitions.missing(month - timedelta(days=3))
    assert "default partition" in partitions.missing(month)
    assert partitions.make() == 1
    assert partitions.missing(month) is None


def test_no_decision_waits_for_a_part_that_is_being_made_nor_the_other_way_round(committed):
    builders.a_champion(committed)
    decision = builders.a_decision(committed)
    take_away_the_last()
    with builders.another_session("vandal") as session:
        session.execute("BEGIN")
        session.execute("SELECT countersign_make_partitions()")
        builders.a_decision(committed)
        session.execute("ROLLBACK")
        session.execute("BEGIN")
        session.execute(
            "INSERT INTO scoring_decision SELECT (jsonb_populate_record(d, jsonb_build_object('id', %s::uuid))).*"
            " FROM scoring_decision d WHERE id = %s",
            [made_at(builders.now()), decision.pk],
        )
        assert partitions.make() == 1
        session.execute("ROLLBACK")
    assert Decision.objects.count() == 2


def test_a_month_that_the_default_part_has_decisions_of_stays_there(people):
    builders.a_champion(people)
    decision = builders.a_decision(people)
    then = copied(decision, take_away_the_last() + timedelta(days=1))
    assert part_of(then) == "scoring_decision_default"
    assert partitions.make() == 0
    assert part_of(then) == "scoring_decision_default"


def test_nobody_changes_a_part_or_gets_at_it_by_its_name(people):
    builders.a_champion(people)
    builders.a_decision(people)
    connection.check_constraints()
    assert len(parts()) == 5
    for name in ("scoring_decision", *parts()):
        for statement in (f"UPDATE {name} SET score = 0", f"DELETE FROM {name}", f"TRUNCATE {name} CASCADE"):
            assert "never changed" in refused(statement)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relrowsecurity, (SELECT tgenabled FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)"
                " FROM pg_class c WHERE oid = %s::regclass",
                [name],
            )
            assert cursor.fetchone() == (name != "scoring_decision", "A")
    for role in privileges.ROLES:
        for name in parts():
            for statement in (f"SELECT FROM {name}", f"INSERT INTO {name} SELECT FROM {name}", f"TRUNCATE {name}"):
                assert "permission denied" in refused(statement, role)
        made = refused("SELECT countersign_make_partitions()", role)
        assert made is None if role == privileges.APP else "permission denied" in made
        assert "permission denied" in refused("SELECT countersign_guard_partition('scoring_decision')", role)
    assert Decision.objects.count() == 1


@pytest.fixture
def elsewhere(django_db_setup, django_db_blocker):
    """The address of an empty database of its own."""
    with django_db_blocker.unblock():
        params = connection.get_connection_params()
        told = {key: params[key] for key in ("user", "password", "host", "port") if params.get(key)}
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(dbname="postgres", autocommit=True, **told) as admin:
            admin.execute(f"CREATE DATABASE {name}")
            yield running.own_database(os.environ["DATABASE_URL"], name)
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def migrate(url, *target):
    command = [sys.executable, "manage.py", "migrate", "-v0", *target]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": url}
    done = subprocess.run(command, cwd=running.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_rows_of_before_stay_as_they_were_down_to_their_transaction(elsewhere):
    migrate(elsewhere, "scoring", "0003")
    rows = "SELECT id, xid, model_id, request_id, score, vector, answer FROM scoring_decision ORDER BY id"
    with psycopg.connect(elsewhere, autocommit=True) as session:
        session.execute("SET session_replication_role = replica")  # of decisions alone, not of what they are made under
        for number in range(3):
            session.execute(
                "INSERT INTO scoring_decision (id, model_id, deployment_id, request_id, request_digest, entity, at,"
                " score, band, vector, attributions, inputs, answer, inputs_salt, answer_salt)"
                " VALUES (%s, %s, 1, %s, 'd', '', now(), 0.5, 'allow', '{1}', '{2}', 'i', 'a', 's', 's')",
                [made_at(builders.now() - timedelta(days=40 * number)), uuid4(), f"r{number}" if number else None],
            )
        before = session.execute(rows).fetchall()
        outcome = (
            "INSERT INTO scoring_outcome (id, decision_id, deployment_id, label, source, observed_at, salt,"
            " recorded_by_id, recorded_at) VALUES (gen_random_uuid(), %s, 1, 1, 's', now(), 's', 1, now())"
        )
        session.execute(outcome, [before[0][0]])
    migrate(elsewhere)
    with psycopg.connect(elsewhere, autocommit=True) as session:
        assert session.execute(rows).fetchall() == before
        assert len({row[1] for row in before}) == 3
        keys = session.execute("SELECT decision_id, model_id, request_id FROM scoring_requestkey ORDER BY 1").fetchall()
        assert keys == [(row[0], row[2], row[3]) for row in before if row[3]]
        held = session.execute(
            "SELECT conrelid::regclass::text, convalidated FROM pg_constraint WHERE contype = 'f'"
            " AND confrelid = 'scoring_decision'::regclass AND conparentid = 0 ORDER BY 1"
        )
        held = dict(held.fetchall())
        assert held["scoring_outcome"], "and what came later"
        assert all(held.values())
        assert "scoring_requestkey" not in held, "the hot path asks for no decision"
        with pytest.raises(psycopg.errors.RestrictViolation, match="never changed"):
            session.execute("DELETE FROM scoring_decision")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            session.execute(
                "INSERT INTO scoring_decision SELECT (jsonb_populate_record(d, jsonb_build_object("
                "'id', gen_random_uuid(), 'deployment_id', 99))).* FROM scoring_decision d LIMIT 1"
            )
        assert len(session.execute(PARTS).fetchall()) == 5
