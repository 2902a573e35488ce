"""The two servers below everything: PostgreSQL and Valkey, ours unless the operator names others."""

import os
from collections.abc import Mapping

from governance.platform import databases, postgres, valkey
from governance.platform.home import Home
from governance.platform.supervisor import Supervisor, say


def database(supervisor: Supervisor, home: Home) -> Mapping[str, str]:
    """Return the URL of each role's database, its server running."""
    if external := os.environ.get("DATABASE_URL"):
        return _external(external)
    cluster = postgres.cluster(home, supervisor.run)
    supervisor.start(postgres.process(cluster))
    databases.prepare(cluster, home)
    return {role: databases.url(cluster, home, role) for role in databases.ROLES}


def broker(supervisor: Supervisor, home: Home) -> str:
    """Return the broker's URL, its server running."""
    if external := os.environ.get("BROKER_URL"):
        return external
    supervisor.start(valkey.process(home))
    return valkey.url(home)


def _external(everybody: str) -> Mapping[str, str]:
    urls = {role: os.environ.get(f"{role.upper()}_DATABASE_URL", "") for role in databases.SEPARATE}
    if missing := [f"{role.upper()}_DATABASE_URL" for role, url in urls.items() if not url]:
        say(
            f"Warning: {', '.join(missing)} not set: these processes use DATABASE_URL, which must then belong to a "
            "role that may change the schema, and separation by database roles is not in force. See .env.example."
        )
    return {"superuser": everybody} | {role: url or everybody for role, url in urls.items()}
