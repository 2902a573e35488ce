"""What linters cannot see: small modules, thin tasks, tables that never change, endpoints that have a rule."""

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from governance import privileges, workflow

ROOT = Path(__file__).resolve().parent.parent
APPS = ("registry", "scoring", "monitoring", "governance")
MODULES = [
    path
    for app in APPS
    for path in (ROOT / app).rglob("*.py")
    if "migrations" not in path.parts and path.name != "verify.py"  # the verifier is one file by design
]
MUTABLE = {"registry_user": "people change their passwords and roles"}


def test_no_module_is_long():
    long = {str(path.relative_to(ROOT)): n for path in MODULES if (n := len(path.read_text().splitlines())) > 350}
    assert not long


def test_tasks_are_doorbells():
    for path in MODULES:
        if "tasks" not in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any("task" in ast.unparse(d) for d in node.decorator_list):
                body = [
                    part for part in node.body if not isinstance(part, ast.Expr) or isinstance(part.value, ast.Call)
                ]
                assert len(body) <= 3, f"{path.name}:{node.name}"


def test_every_table_is_append_only_or_says_why_not(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only' AND tgenabled = 'A'"
        )
        guarded = {row[0] for row in cursor.fetchall()}
    tables = {model._meta.db_table for name in APPS for model in apps.get_app_config(name).get_models()}
    assert tables - guarded == set(MUTABLE)


@pytest.mark.parametrize("role", privileges.ROLES)
def test_no_role_may_change_an_append_only_table(db, role):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND (has_any_column_privilege(%(role)s, oid, 'UPDATE')"
            " OR has_table_privilege(%(role)s, oid, 'DELETE, TRUNCATE, TRIGGER, REFERENCES'))",
            {"role": role},
        )
        may = {table for (table,) in cursor.fetchall()}
        assert may == ({"registry_user", "django_session"} if role == privileges.APP else set())


def views(resolver, prefix=""):
    for item in resolver.url_patterns:
        if isinstance(item, URLResolver):
            yield from views(item, prefix + str(item.pattern))
        elif isinstance(item, URLPattern):
            yield prefix + str(item.pattern), item.callback


@pytest.mark.parametrize("urls", ["governance.urls", "scoring.serving_urls"])
def test_every_api_view_says_who_may_call_it(urls):
    unruled = []
    for path, view in views(get_resolver(urls)):
        cls = getattr(view, "cls", None)
        if cls is not None and getattr(cls, "needs", None) is None:
            unruled.append(path)
    assert not unruled


def test_every_stage_is_reached_or_left_by_the_table():
    reached = {action.leads_to for action in workflow.ACTIONS.values()}
    left = {stage for action in workflow.ACTIONS.values() for stage in action.stages}
    by_checks = {workflow.Stage.UNSERVABLE, workflow.Stage.REGISTERED, workflow.Stage.BLOCKED, workflow.Stage.REJECTED}
    assert set(workflow.Stage) == reached | left | by_checks


def test_the_readme_shows_the_workflow_as_it_is():
    assert workflow.diagram() in (ROOT / "README.md").read_text()


def test_the_locks_hold_no_address():
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text()
