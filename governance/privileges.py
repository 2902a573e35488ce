"""What each database role may do, granted anew by `manage.py setup_platform`: what is not on this list is refused.

Roles are made by governance/deploy/roles.sql; none of them owns a table. Nobody changes a row but the few columns of
UPDATES. INSERT names columns: what the database fills (identities, transactions, moments, leaf hashes) nobody can
write. Row-level security says who enters which event: a role that could write another's would speak for it.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from django.apps import apps
from django.db import connection
from django.db.models import AutoField, Model

from governance import said
from governance.events import Event as Governance
from monitoring.events import Event as Monitoring
from registry.ledger import DECISIONS, GOVERNANCE
from registry.ledger import Event as Registry
from registry.models import LedgerEntry, User
from scoring.events import Event as Scoring

APP, SCORING, GOVERNOR, SEQUENCER = (f"countersign_{name}" for name in ("app", "scoring", "governor", "sequencer"))
ROLES = (APP, SCORING, GOVERNOR, SEQUENCER)
APPS = ("registry", "scoring", "monitoring", "governance")
TREE = (  # the sequencer's alone
    *("registry_leaf", "registry_tile", "registry_tree"),
    *("registry_checkpoint", "registry_cosignature", "registry_breach"),
)

# table → who inserts rows; of every table of the four apps that is not named here: the application
WRITERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(TREE, (SEQUENCER,)),
    "registry_policy": (),  # set-up alone, and `adopt_policy`
    "registry_epoch": (),  # set-up alone, and `recover_log`
    "registry_ledgerentry": (APP, SCORING, GOVERNOR),
    "scoring_decision": (SCORING,),
    "scoring_requestkey": (SCORING,),
    "scoring_refusedload": (SCORING,),
    "scoring_repetition": (SCORING,),
    "scoring_drain": (SCORING,),
    "scoring_outcome": (APP, SCORING),
    "scoring_override": (APP, SCORING),
    "scoring_environment": (APP, SCORING),  # a worker that explains or replays has one too
    "scoring_deployment": (GOVERNOR,),
    "governance_orderrefusal": (GOVERNOR,),
}
# What is no append-only table of ours. A password may be changed and a sign-in noted, nothing else of a person.
UPDATES = {"registry_user": "password, last_login"}
_APP_ALSO = (
    "INSERT (user_id, group_id) ON registry_user_groups",
    "INSERT, UPDATE, DELETE ON django_session",
    *(f"UPDATE ({columns}) ON {table}" for table, columns in UPDATES.items()),
)
# A warrant names the number of the deployment it allows, so the governor draws it first.
_GOVERNOR_ALSO = ("INSERT (id) ON scoring_deployment", "USAGE ON SEQUENCE scoring_deployment_id_seq")

# Who reads what. The application shows everything, and signs people in: it reads all.
_PACKAGED = ("registry_registeredmodel", "registry_modelversion", "registry_policy", "registry_package")
READS: dict[str, tuple[str, ...]] = {
    SCORING: (
        *("auth_group", "auth_permission", "auth_group_permissions", "django_content_type"),
        *("registry_user_groups", "registry_user_user_permissions"),
        *_PACKAGED,
        "registry_tokenrevocation",
        *("scoring_deployment", "scoring_decision", "scoring_requestkey", "scoring_outcome", "scoring_refusedload"),
        *("scoring_repetition", "scoring_drain"),
        *("scoring_environment", "scoring_explanation", "scoring_override"),
        *("registry_leaf", "registry_tree"),  # whether the record can take more
    ),
    GOVERNOR: (
        *_PACKAGED,
        "scoring_deployment",
        *("monitoring_checkrun", "monitoring_checkresult"),
        *("governance_approvalrequest", "governance_signature", "governance_order", "governance_orderrefusal"),
    ),
    SEQUENCER: ("registry_ledgerentry", "registry_epoch", "registry_breachanswer", *TREE),
}
_NO_HASH = ", ".join(str(field.column) for field in User._meta.local_concrete_fields if field.column != "password")
# What Django's INSERT returns of an entry.
_READ_BACK = ", ".join(str(field.column) for field in LedgerEntry._meta.db_returning_fields)
_READS_OF = (
    f"SELECT (id, username, is_active, is_superuser) ON registry_user TO {SCORING}",
    f"SELECT (id, secret_digest, owner_id, scopes, expires_at) ON registry_servicetoken TO {SCORING}",
    f"SELECT ({_NO_HASH}) ON registry_user TO {GOVERNOR}",
    f"SELECT ({_READ_BACK}) ON registry_ledgerentry TO {SCORING}, {GOVERNOR}",
    f"SELECT (log, epoch, xid) ON registry_ledgerentry TO {SCORING}",
)

# Partitions are read and written as the whole table that they belong to, and by nobody under their own names.
_NO_PARTITIONS = f"""
DO $$ DECLARE part regclass; BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE c.relkind = 'r' LOOP
        EXECUTE format('REVOKE ALL ON %s FROM {", ".join(ROLES)}', part);
    END LOOP;
END $$
"""  # noqa: S608
# What the beat's worker and /health call: `scoring.partitions`.
_PARTITIONING = ("countersign_make_partitions()", "countersign_placed(uuid)", "countersign_first_id(timestamp)")

# Who enters what: (log, event). What neither these nor set-up enter, the application does.
_SET_UP: set[StrEnum] = {Registry.POLICY_ADOPTED, Registry.LOG_RECOVERED, Governance.ROLE_CHANGED}
_SERVERS: dict[str, set[tuple[str, StrEnum]]] = {
    SCORING: {
        (DECISIONS, Scoring.DECISION_ANSWERED),
        (DECISIONS, Scoring.OUTCOME_RECORDED),
        (DECISIONS, Scoring.OVERRIDE_RECORDED),
        (GOVERNANCE, Scoring.DEPLOYMENT_REFUSED),
        (GOVERNANCE, Scoring.JOURNAL_DRAINED),
        (GOVERNANCE, Scoring.ENVIRONMENT_SEEN),
    },
    GOVERNOR: {(GOVERNANCE, Scoring.DEPLOYMENT_MADE), (GOVERNANCE, Governance.ORDER_REFUSED)},
}
EVENTS: tuple[StrEnum, ...] = (*Registry, *Scoring, *Monitoring, *Governance)
_OF_DECISIONS = (Scoring.OUTCOME_RECORDED, Scoring.OVERRIDE_RECORDED, Scoring.DECISION_EXPLAINED)
_OTHERS = _SET_UP | {*_OF_DECISIONS} | {event for entered in _SERVERS.values() for _, event in entered}
ENTERS: dict[str, set[tuple[str, StrEnum]]] = {
    **_SERVERS,
    # Outcomes come in by the pages' API too, and workers explain; what befell a log is answered in that log.
    APP: {
        *((DECISIONS, event) for event in (*_OF_DECISIONS, Registry.GAP_ACKNOWLEDGED, Registry.BREACH_ACKNOWLEDGED)),
        (GOVERNANCE, Scoring.ENVIRONMENT_SEEN),
        *((GOVERNANCE, event) for event in EVENTS if event not in _OTHERS),
    },
}
# Services that speak for themselves: nobody else enters under their names. The application's go by many.
SPEAKS = {SCORING: "service:scoring", GOVERNOR: "service:governor"}
_NOT_APPS = (*SPEAKS.values(), "service:sequencer", "service:setup")


def models() -> list[type[Model]]:
    """Return the models of the four apps."""
    return [model for name in APPS for model in apps.get_app_config(name).get_models()]


def writers(table: str) -> tuple[str, ...]:
    """Return the roles that may insert rows of a table."""
    return WRITERS.get(table, (APP,))


def written(model: type[Model]) -> list[str]:
    """Return the columns that an INSERT may name: all but those that the database fills."""
    fields = model._meta.local_concrete_fields
    return [str(field.column) for field in fields if not (isinstance(field, AutoField) or field.has_db_default())]


def statements() -> list[str]:
    """Return the SQL that revokes everything and grants this list."""
    everybody = ", ".join(ROLES)
    return [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {everybody}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {everybody}",  # identities need no right
        f"GRANT USAGE ON SCHEMA public TO {everybody}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {APP}",
        *(f"GRANT SELECT ON {', '.join(tables)} TO {role}" for role, tables in READS.items()),
        *(f"GRANT {right}" for right in _READS_OF),
        *_inserts(),
        _NO_PARTITIONS,
        f"GRANT EXECUTE ON FUNCTION {', '.join(_PARTITIONING)} TO {APP}",
        *(f"GRANT {right} TO {APP}" for right in _APP_ALSO),
        *(f"GRANT {right} TO {GOVERNOR}" for right in _GOVERNOR_ALSO),
        *_entering(),
    ]


def _inserts() -> Iterator[str]:
    for model in models():
        table, columns = model._meta.db_table, ", ".join(f'"{name}"' for name in written(model))
        if roles := writers(table):
            yield f"GRANT INSERT ({columns}) ON {table} TO {', '.join(roles)}"


def _entering() -> Iterator[str]:
    """Everybody with the right to read entries reads all; each writer enters its own events, as itself."""
    table = LedgerEntry._meta.db_table
    yield from said.statements(connection.pg_version, ENTERS)  # type: ignore[attr-defined]
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield from _policy("read", f"FOR SELECT TO {', '.join(ROLES)} USING (true)")
    for role, entered in ENTERS.items():
        check = f"({_own(entered)}) AND ({_as_itself(role)}) AND {said.CONDITION}"
        yield from _policy(f"enter_{role}", f"FOR INSERT TO {role} WITH CHECK ({check})")


def _policy(name: str, rule: str) -> Iterator[str]:
    yield f"DROP POLICY IF EXISTS {name} ON {LedgerEntry._meta.db_table}"
    yield f"CREATE POLICY {name} ON {LedgerEntry._meta.db_table} {rule}"


def _own(entered: Iterable[tuple[str, StrEnum]]) -> str:
    by_log: dict[str, list[str]] = {}
    for log, event in sorted(entered):
        by_log.setdefault(log, []).append(f"'{event}'")
    return " OR ".join(f"log = '{log}' AND event IN ({', '.join(events)})" for log, events in by_log.items())


def _as_itself(role: str) -> str:
    if role == APP:
        return f"actor NOT IN {_NOT_APPS}"
    return f"actor = '{SPEAKS[role]}' OR starts_with(actor, 'user:')"


def grant() -> None:
    """Grant this list in the current database."""
    with connection.cursor() as cursor:
        for statement in statements():
            cursor.execute(statement)
