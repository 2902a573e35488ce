"""The people of every story, and a database per worker.

ada builds models, grace and alan sign, olivia promotes, clara audits, the engine asks.
"""

import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import setup_databases, teardown_databases
from django.utils import timezone
from playwright.sync_api import sync_playwright

from governance import privileges, roles
from governance.management.commands.setup_platform import make_keys
from governance.policy_defaults import DEFAULTS
from registry import people as registry_people
from registry import policies, writers
from tests import builders, running


def pytest_unconfigure():
    shutil.rmtree(settings.HOME, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _keys():
    make_keys()


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_modify_db_settings, django_db_blocker):
    """Always make the test database: pytest-django leaves that out when only tests with fixtures of our own are run."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
        with transaction.atomic():
            _make_roles()
            privileges.grant()
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


def _make_roles():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(1)")
        for role in privileges.ROLES:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if not cursor.fetchone():
                cursor.execute(f"CREATE ROLE {role}")


@pytest.fixture
def people(db):
    """Everybody, under the default policies."""
    return settle()


def settle():
    writers._mine.__dict__.clear()  # another database: this thread is a new writer in it
    now = timezone.now()
    roles.synchronise(now)
    for tier, rules in DEFAULTS.items():
        policies.adopt(tier=tier, rules=rules, by=None, now=now)
    everybody = builders.everybody(now)
    builders.forget_serving()
    return everybody


@pytest.fixture
def committed(committing):
    """Everybody, in a database where transactions really commit; emptied afterwards.

    Django's own transactional fixture flushes by TRUNCATE, which our triggers refuse.
    """
    with committing() as everybody:
        yield everybody


@pytest.fixture(scope="session")
def committing(django_db_setup, django_db_blocker):
    """Return that database for a fixture that tells a longer story once and keeps what came of it."""

    @contextmanager
    def story():
        with django_db_blocker.unblock():
            yield settle()
            _empty()

    return story


def _empty():
    """Empty every table as only the owner of a test database can: with the triggers off."""
    assert str(connection.settings_dict["NAME"]).startswith("test_"), "only a test database is ever emptied"
    for folder in (settings.PUBLISHED_LOG, settings.LOG_ANCHOR):
        shutil.rmtree(folder, ignore_errors=True)
    kept = {"registry_epoch"}  # the first comes with the schema
    tables = [t for t in connection.introspection.table_names() if t.split("_")[0] in privileges.APPS and t not in kept]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'scoring_decision'::regclass"
        )
        partitions = [name for (name,) in cursor.fetchall()]
        for table in (*tables, *partitions, *kept):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM registry_epoch WHERE number > 1")
        cursor.execute("ALTER TABLE registry_ledgerentry ALTER COLUMN epoch SET DEFAULT 1")
        cursor.execute(f"TRUNCATE {', '.join(tables)}, auth_group CASCADE")
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'D'"
        )
        for table, trigger in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """The whole platform on a data folder of its own: every process real, each with its own database role."""
    with running.platform(tmp_path_factory.mktemp("platform") / "home") as started:
        yield started


@pytest.fixture(scope="session")
def walked(platform):
    """What the walk of `make demo` said on that platform; it checks each of its own steps."""
    done = subprocess.run(
        [sys.executable, "-m", "governance.demo.walk"],
        cwd=running.ROOT,
        env=platform.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def chromium():
    """A real browser, where one is found. No longer than a module: while it lives, Django sees its event loop."""
    found = running.chromium()
    if found is None:
        pytest.skip("no Chromium found (set CHROMIUM, or install Debian's chromium): browser tests are left out")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=running.CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All tests on the running platform share one worker, and so one platform."""
    for item in items:
        if "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("platform"))


def pytest_terminal_summary(terminalreporter):
    if running.chromium() is None:
        terminalreporter.write_line("Browser tests were left out: no Chromium found (set CHROMIUM, or install one).")


for _name in builders.PEOPLE:

    def _person(people, _name=_name):
        return getattr(people, _name)

    globals()[_name] = pytest.fixture(name=_name)(_person)


@pytest.fixture
def issue_token():
    """Return a function that gives a person a token and returns its secret."""

    def issue(owner, *scopes, days=1):
        return registry_people.issue_token(
            owner=owner, name="test", scopes=scopes, days=days, by=owner, now=timezone.now()
        )[1]

    return issue
