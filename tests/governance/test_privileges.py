"""Each database role on a running platform, with its own login: what it connects as, and all that it may not."""

import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest

from governance import privileges
from governance.demo.clients import program
from governance.platform.home import PROJECT
from governance.privileges import APP, GOVERNOR, ROLES, SCORING, SEQUENCER
from tests import running

PROCESSES = {
    **dict.fromkeys(
        ("web", "worker", "intake", "checks", "drift", "monitors", "explainer", "train", "webhooks", "beat"), APP
    ),
    "scoring": SCORING,
    "governor": GOVERNOR,
    "sequencer": SEQUENCER,
}
TALK = {
    "web",
    "scoring",
    "worker",
    "monitors",
    "train",
    "webhooks",
    "governor",
    "sequencer",
}  # who asks the database unasked
TABLES = {model._meta.db_table: model for model in privileges.models()}
APPEND_ONLY = {table: model for table, model in TABLES.items() if table not in privileges.UPDATES}


@pytest.fixture(scope="module")
def logins(platform):
    """A session of each role, logged in as its process is; everything is rolled back."""
    told, end = {}, time.monotonic() + running.PATIENCE
    while not set(PROCESSES) <= set(told) and time.monotonic() < end:  # some start after the platform answers
        told = {env["PROCESS"]: env for env in platform.processes().values()}
    urls = {PROCESSES[process]: env["DATABASE_URL"] for process, env in told.items() if process in PROCESSES}
    sessions = {role: psycopg.connect(url, autocommit=True, application_name="test") for role, url in urls.items()}
    assert set(sessions) == set(ROLES)
    yield sessions
    for session in sessions.values():
        session.close()


@pytest.fixture(scope="module")
def as_superuser(platform):
    """A function that opens a session of the server's superuser."""
    url = next(env["DATABASE_URL"] for env in platform.processes().values() if "DATABASE_URL" in env)
    sockets, password = parse_qs(urlsplit(url).query)["host"][0], (platform.home / "secrets" / "postgres").read_text()
    given = {"host": sockets, "user": "postgres", "password": password, "dbname": "countersign"}
    return lambda: psycopg.connect(**given, application_name="test", autocommit=True)


@pytest.fixture(scope="module")
def superuser(as_superuser):
    with as_superuser() as session:
        yield session


def refused(session, statement):
    """Say whether the database denies this for want of a right; whatever it did is taken back."""
    alone = statement.startswith(("ALTER SYSTEM", "CREATE DATABASE"))  # these know no way back, and need none here
    try:
        with nullcontext() if alone else session.transaction(force_rollback=True):
            session.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    except psycopg.Error as error:
        raise AssertionError(f"{statement}: {error}") from error
    return False


def allowed(session, statements):
    return [statement for statement in statements if not refused(session, statement)]


@contextmanager
def held_up(as_superuser):
    """Lock what the workers ask for: each waits in its session, else too short to be seen, until this ends."""
    with ExitStack() as locks:
        for table in ("registry_modelversion", "scoring_deployment", "governance_case", "governance_order"):
            session = locks.enter_context(as_superuser())  # one lock each: who waits for one holds up nobody else
            locks.enter_context(session.transaction(force_rollback=True))
            session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def test_every_session_is_its_process_s_role_and_nobody_else_is_connected(platform, as_superuser, superuser):
    engine = program(platform.scoring_url, platform.tokens["engine"])
    assert engine.get(f"/api/v1/decisions/{uuid4()}").status_code == 404  # until it is asked, it asks nothing
    seen, end = set(), time.monotonic() + running.PATIENCE
    with held_up(as_superuser):
        while time.monotonic() < end and not {process for process, _ in seen} >= TALK:
            found = superuser.execute(
                "SELECT application_name, usename FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND application_name <> 'test'"
            )
            seen |= {(name.removeprefix("countersign "), role) for name, role in found}
            time.sleep(0.1)
    assert {process for process, _ in seen} >= TALK
    assert {(process, role) for process, role in seen if role != PROCESSES.get(process)} == set()


def test_every_process_is_told_its_own_role_alone(platform):
    told = [env for env in platform.processes().values() if "DATABASE_URL" in env]
    assert {env["PROCESS"]: urlsplit(env["DATABASE_URL"]).username for env in told} == PROCESSES


def test_no_role_of_a_server_is_more_than_a_login(superuser):
    roles = superuser.execute(
        "SELECT rolname, rolcanlogin, rolsuper OR rolinherit OR rolcreaterole OR rolcreatedb OR rolreplication"
        " OR rolbypassrls, EXISTS (SELECT 1 FROM pg_auth_members WHERE member = r.oid)"
        " FROM pg_roles r WHERE rolname = ANY (%s)",
        [list(ROLES)],
    ).fetchall()
    assert sorted(roles) == sorted((role, True, False, False) for role in ROLES)
    owners = superuser.execute(
        "SELECT DISTINCT tableowner, rolcanlogin FROM pg_tables JOIN pg_roles ON rolname = tableowner"
        " WHERE schemaname = 'public'"
    ).fetchall()
    assert owners == [("countersign_owner", False)]
    members = superuser.execute(
        "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'countersign_owner'::regrole"
    ).fetchall()
    assert members == [("countersign_migrator",)]


CHANGES = (
    'UPDATE {table} SET "{column}" = "{column}"',
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    'INSERT INTO {table} ("{column}") VALUES (NULL) ON CONFLICT ({pk}) DO UPDATE SET "{column}" = NULL',
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "DROP TRIGGER append_only ON {table}",
    "CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    "DROP TABLE {table} CASCADE",
)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_changes_any_append_only_table(logins, role):
    assert len(APPEND_ONLY) > 25
    statements = [
        statement.format(
            table=table,
            column=model._meta.local_concrete_fields[-1].column,
            pk=", ".join(f'"{field.column}"' for field in model._meta.pk_fields),
        )
        for table, model in APPEND_ONLY.items()
        for statement in CHANGES
    ]
    assert allowed(logins[role], statements) == []


def no_row(table, columns):
    """An INSERT of no row into these columns: the rights are asked for all the same."""
    named = ", ".join(f'"{column}"' for column in columns)
    return (
        f"INSERT INTO {table} ({named}) OVERRIDING SYSTEM VALUE SELECT {', '.join('NULL' for _ in columns)} WHERE false"
    )


@pytest.mark.parametrize("role", ROLES)
def test_each_table_is_inserted_into_by_its_writers_alone(logins, role):
    may = {
        table for table, model in TABLES.items() if not refused(logins[role], no_row(table, privileges.written(model)))
    }
    assert may == {table for table in TABLES if role in privileges.writers(table)}
    assert (role == GOVERNOR) == ("scoring_deployment" in may)
    assert (role == SEQUENCER) == (set(privileges.TREE) <= may)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_writes_what_the_database_fills(logins, superuser, role):
    filled = superuser.execute(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attrelid::regclass::text = ANY (%s)"
        " AND (atthasdef OR attidentity <> '') AND attgenerated = ''",
        [list(TABLES)],
    ).fetchall()
    entry = "registry_ledgerentry"
    assert {(entry, "id"), (entry, "xid"), (entry, "inserted_at"), ("scoring_decision", "xid")} <= set(filled)
    assert {("scoring_outcome", "xid"), ("scoring_deployment", "id"), ("registry_leaf", "id")} <= set(filled)
    drawn = [no_row("scoring_deployment", ["id"])] if role == GOVERNOR else []  # its warrant names the number
    assert allowed(logins[role], [no_row(table, [column]) for table, column in filled]) == drawn


# What no role of a server may do to the database, its server, or its own rights.
NEVER = (
    "SET session_replication_role = replica",
    "SET ROLE countersign_owner",
    "SET ROLE countersign_migrator",
    "SET SESSION AUTHORIZATION postgres",
    "GRANT countersign_owner TO {role}",
    "ALTER ROLE {role} SUPERUSER",
    "ALTER ROLE {role} BYPASSRLS",
    "ALTER ROLE countersign_owner LOGIN",
    "ALTER ROLE countersign_migrator PASSWORD 'mine'",
    "CREATE ROLE accomplice",
    "ALTER SYSTEM SET fsync = off",
    "ALTER DATABASE countersign SET session_replication_role = replica",
    "ALTER DATABASE countersign OWNER TO {role}",
    "CREATE DATABASE elsewhere",
    "CREATE SCHEMA own",
    "CREATE TABLE own (id int)",
    "CREATE TEMP TABLE governance_signature (id int)",
    "CREATE VIEW own AS SELECT 1",
    "CREATE SEQUENCE own",
    "CREATE TYPE own AS (id int)",
    "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION countersign_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "DROP FUNCTION countersign_append_only() CASCADE",
    "CREATE EXTENSION hstore",
    "CREATE PUBLICATION own",
    "CREATE EVENT TRIGGER own ON ddl_command_end EXECUTE FUNCTION countersign_append_only()",
    "DROP POLICY read ON registry_ledgerentry",
    "CREATE POLICY own ON registry_ledgerentry FOR INSERT WITH CHECK (true)",
    "SELECT setval('registry_ledgerentry_id_seq', 1)",
    "SELECT nextval('registry_ledgerentry_id_seq')",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'kept')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_reload_conf()",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/own'",
    "COPY django_migrations FROM '/etc/hostname'",
    "INSERT INTO django_migrations (app, name, applied) VALUES ('registry', '9999', now())",
    "SELECT rolpassword FROM pg_authid",
    "UPDATE registry_user SET is_superuser = true",
    "UPDATE registry_user SET is_active = true",
    "UPDATE registry_user SET username = 'ada'",
    "DELETE FROM registry_user",
    "DELETE FROM registry_user_groups",
    "INSERT INTO registry_user_user_permissions (user_id, permission_id) VALUES (1, 1)",
    "INSERT INTO auth_group (name) VALUES ('own')",
    "INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (1, 1)",
)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_reaches_beyond_its_tables(logins, role):
    assert allowed(logins[role], [statement.format(role=role) for statement in NEVER]) == []


# statement → who may
SECRETS = {
    "SELECT password FROM registry_user": {APP},
    "SELECT * FROM registry_user": {APP},
    "SELECT email FROM registry_user": {APP, GOVERNOR},
    "SELECT id, username, is_active FROM registry_user": {APP, SCORING, GOVERNOR},
    "UPDATE registry_user SET password = '!' WHERE false": {APP},
    "UPDATE registry_user SET last_login = now() WHERE false": {APP},
    "SELECT secret_digest FROM registry_servicetoken": {APP, SCORING},
    "SELECT name FROM registry_servicetoken": {APP},
    "SELECT 1 FROM registry_wrongpassword": {APP},
    "SELECT 1 FROM django_session": {APP},
    "SELECT 1 FROM registry_dataset": {APP},
    "SELECT inputs FROM scoring_decision": {APP, SCORING},
    "SELECT salt FROM scoring_outcome": {APP, SCORING},
    "SELECT request_id FROM scoring_requestkey": {APP, SCORING},
    "SELECT inputs FROM scoring_decision_default": set(),
    "SELECT countersign_make_partitions()": {APP},
    "SELECT countersign_guard_partition('scoring_decision_default')": set(),
    "SELECT reason FROM governance_signature": {APP, GOVERNOR},
    "SELECT bytes FROM registry_ledgerentry": {APP, SEQUENCER},
    "SELECT note FROM registry_checkpoint": {APP, SEQUENCER},
    "SELECT warrant FROM scoring_deployment": {APP, SCORING, GOVERNOR},
}


@pytest.mark.parametrize("statement", SECRETS)
def test_each_role_reads_only_what_it_needs(logins, statement):
    assert {role for role in ROLES if not refused(logins[role], statement)} == SECRETS[statement]


def test_a_forgotten_transaction_is_cut_off(logins):
    for role, session in logins.items():
        settings = dict(
            session.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('idle_in_transaction_session_timeout', 'transaction_timeout')"
            ).fetchall()
        )
        assert settings["idle_in_transaction_session_timeout"] != "0"
        if role != SEQUENCER and "transaction_timeout" in settings:  # from PostgreSQL 17 on; its standby waits in one
            assert settings["transaction_timeout"] != "0"


@pytest.mark.parametrize(
    ("process", "patience"), [("web", "30s"), ("scoring", "5s"), ("monitors", "10min"), ("sequencer", "0")]
)
def test_each_process_says_how_long_its_statements_may_take(platform, process, patience):
    told = next(env for env in platform.processes().values() if env["PROCESS"] == process)
    script = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        "with connection.cursor() as cursor:\n"
        "    print(cursor.execute('SHOW statement_timeout').fetchone()[0])"
    )
    asked = [sys.executable, "-c", script]
    done = subprocess.run(asked, cwd=PROJECT, env=told, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == patience, done.stderr


def test_what_a_role_set_for_its_own_sessions_does_not_survive_a_start(logins, superuser):
    logins[SCORING].execute("ALTER ROLE countersign_scoring SET search_path = own")
    superuser.execute((PROJECT / "governance" / "deploy" / "roles.sql").read_bytes())
    kept = superuser.execute(
        "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting WHERE setrole = 'countersign_scoring'::regrole"
    ).fetchall()
    assert "search_path" not in str(kept)
    assert "idle_in_transaction_session_timeout=10s" in str(kept)


def test_a_role_made_a_member_of_the_owner_stops_the_set_up(superuser):
    superuser.execute("GRANT countersign_owner TO countersign_scoring")
    try:
        with pytest.raises(psycopg.errors.RaiseException, match="countersign_scoring is a member of countersign_owner"):
            superuser.execute((PROJECT / "governance" / "deploy" / "roles.sql").read_bytes())
    finally:
        superuser.execute("REVOKE countersign_owner FROM countersign_scoring")
