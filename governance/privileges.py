"""What each database role may do to each table: the whole list, granted anew by `manage.py setup_platform`.

Roles are made by governance/deploy/roles.sql. Nobody but the migrator owns a table; append-only tables get SELECT
and INSERT at most; only the governor may insert deployments, only the sequencer may write the tree.
"""

from django.apps import apps
from django.db import connection

APP, SCORING, GOVERNOR, SEQUENCER = (f"countersign_{name}" for name in ("app", "scoring", "governor", "sequencer"))
APPS = ("registry", "scoring", "monitoring", "governance")
TREE = (
    "registry_leaf",
    "registry_tile",
    "registry_tree",
    "registry_checkpoint",
    "registry_cosignature",
    "registry_breach",
)
_ENTRY_COLUMNS = "(uuid, log, event, subject, actor, at, bytes)"  # never id, xid, leaf or inserted_at

# role → table → rights beyond SELECT, which every role has on every table of the four apps
_DECIDED = ("scoring_decision", "scoring_outcome", "scoring_refusedload")
GRANTS: dict[str, dict[str, str]] = {
    SCORING: dict.fromkeys(_DECIDED, "INSERT"),
    GOVERNOR: {"scoring_deployment": "INSERT", "governance_orderrefusal": "INSERT"},
    SEQUENCER: dict.fromkeys(TREE, "INSERT"),
}
_NOT_APP = {
    "registry_policy",
    "scoring_deployment",
    "scoring_decision",
    "governance_orderrefusal",
    "registry_ledgerentry",
    "registry_epoch",
    *TREE,
}
_APP_ALSO = {
    "registry_user": "INSERT, UPDATE",
    "registry_user_groups": "INSERT, DELETE",
    "django_session": "SELECT, INSERT, UPDATE, DELETE",
}


def _tables() -> list[str]:
    return [model._meta.db_table for name in APPS for model in apps.get_app_config(name).get_models()]


def statements() -> list[str]:
    """Return the SQL that revokes everything and grants this list."""
    roles = ", ".join((APP, SCORING, GOVERNOR, SEQUENCER))
    result = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {roles}",
        f"GRANT USAGE ON SCHEMA public TO {roles}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {roles}",
        f"REVOKE ALL ON django_session FROM {SCORING}, {GOVERNOR}, {SEQUENCER}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {roles}",
    ]
    result += [f"GRANT INSERT {_ENTRY_COLUMNS} ON registry_ledgerentry TO {role}" for role in (APP, SCORING, GOVERNOR)]
    for role, tables in GRANTS.items():
        result += [f"GRANT {rights} ON {table} TO {role}" for table, rights in tables.items()]
    result += [f"GRANT INSERT ON {table} TO {APP}" for table in _tables() if table not in _NOT_APP | set(_APP_ALSO)]
    result += [f"GRANT {rights} ON {table} TO {APP}" for table, rights in _APP_ALSO.items()]
    return result


def grant() -> None:
    """Grant this list in the current database."""
    with connection.cursor() as cursor:
        for statement in statements():
            cursor.execute(statement)
