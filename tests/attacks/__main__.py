"""Start a platform on a data folder of its own, and run the suite against it in a process of the database's owner."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from governance.platform.postgres import SUPERUSER
from tests.running import ROOT, Platform, platform

SUITE = "import django; django.setup(); from tests.attacks import suite; raise SystemExit(suite.main())"


def environment(started: Platform) -> dict[str, str]:
    """Return what a thief of everything has: every key, and the database as its superuser."""
    told = json.loads((started.home / "secrets" / "commands.json").read_text())["migrator"]
    chosen = {name: value for name, value in os.environ.items() if name in ("WRITE", "ONLY")}
    return {**os.environ, **told, **chosen, "DATABASE_URL": started.database(SUPERUSER), "LOG_LEVEL": "CRITICAL"}


def main() -> int:
    """Return 0 when everything was caught that must be."""
    with (
        tempfile.TemporaryDirectory(prefix="countersign-attacks-") as folder,
        platform(Path(folder) / "home") as started,
    ):
        return subprocess.run([sys.executable, "-c", SUITE], cwd=ROOT, env=environment(started), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
