"""The database of the platform and its roles, each with a password of its own."""

from urllib.parse import quote

import psycopg
from psycopg import sql

from governance.platform.home import PROJECT, Home
from governance.platform.postgres import SUPERUSER, Cluster

NAME = "countersign"
SEPARATE = ("migrator", "app", "scoring", "governor", "sequencer")
ROLES = ("superuser", *SEPARATE)
_SQL = PROJECT / "governance" / "deploy" / "roles.sql"


def prepare(cluster: Cluster, home: Home) -> None:
    """Make the database and its roles, unless they are there, and set the roles' passwords."""
    with cluster.connect() as admin:
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
    with cluster.connect(NAME) as admin:
        admin.execute(_SQL.read_bytes())
        for role in SEPARATE:
            _set_password(admin, user(role), home.secret(user(role)))


def user(role: str) -> str:
    """Return the name that PostgreSQL knows a role by."""
    return SUPERUSER if role == "superuser" else f"countersign_{role}"


def url(cluster: Cluster, home: Home, role: str) -> str:
    """Return the address a role connects to; it holds the role's password."""
    password = home.secret(user(role))
    return f"postgresql://{user(role)}:{password}@/{NAME}?host={quote(str(cluster.sockets))}"


def _set_password(admin: psycopg.Connection, name: str, password: str) -> None:
    """Send only the SCRAM verifier: the password itself cannot end up in the server's log."""
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier)))
