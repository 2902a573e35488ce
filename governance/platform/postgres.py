"""PostgreSQL from a wheel: one private cluster, SCRAM passwords, a Unix socket, no network."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from governance.platform.environment import inherited
from governance.platform.home import CannotStart, Home
from governance.platform.postgres_binaries import Binaries, Runner, find, runner
from governance.platform.process import Process

SUPERUSER = "postgres"
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """An initialised cluster, and how to run it."""

    binaries: Binaries
    runner: Runner
    data: Path
    sockets: Path
    password: str

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect as superuser; every statement commits by itself."""
        return psycopg.connect(
            host=str(self.sockets),
            user=SUPERUSER,
            password=self.password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def ready(self) -> bool:
        """Tell whether it answers; refuse if the password is not the cluster's."""
        try:
            self.connect().close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise CannotStart(
                    f"PostgreSQL in {self.data} refuses the password in secrets/{SUPERUSER}: the file was lost "
                    "or changed. Put it back, or remove the data folder to begin anew."
                ) from error
            return False
        return True


def cluster(home: Home, run: Callable[[Process], int]) -> Cluster:
    """Return the cluster of the data folder, made with `run` if new, and nothing of an earlier run alive."""
    as_whom = runner(home)
    place = as_whom.place or home.path
    sockets = as_whom.own_folder("run") if as_whom.place else home.sockets()
    found = Cluster(find(as_whom), as_whom, place / "postgres", sockets, home.secret(SUPERUSER))
    if not found.data.exists():
        _initialise(found, run)
    _check_version(found)
    _stop_leftovers(found.data)
    return found


def process(cluster: Cluster) -> Process:
    """Return the server; SIGINT is its fast and clean stop."""
    settings = _SETTINGS | {"unix_socket_directories": f'"{cluster.sockets}"'}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = _program(cluster, "postgres", "-D", str(cluster.data), *options)
    return replace(server, ready=cluster.ready, restart=True, stop=signal.SIGINT, folder=cluster.data)


def _initialise(cluster: Cluster, run: Callable[[Process], int]) -> None:
    """Make the cluster beside its place and rename it: a kill half-way leaves no half cluster."""
    draft = cluster.data.with_name("postgres.draft")
    shutil.rmtree(draft, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=cluster.data.parent) as password:
        password.write(cluster.password)
        password.flush()
        if cluster.runner.account:
            os.chown(password.name, *cluster.runner.account)
        options = [
            f"--pgdata={draft}",
            f"--username={SUPERUSER}",
            "--auth=scram-sha-256",
            f"--pwfile={password.name}",
            "--encoding=UTF8",
            *_locale(cluster.binaries.major),
        ]
        code = run(_program(cluster, "initdb", *options))
    if code:
        raise CannotStart(f"PostgreSQL's initdb ended with code {code} in {draft}; see log/initdb.log.")
    draft.rename(cluster.data)


def _program(cluster: Cluster, name: str, *arguments: str) -> Process:
    argv = [*cluster.runner.prefix, str(cluster.binaries.folder / name), *arguments]
    env = inherited() | {"LANG": "C", "LC_ALL": "C"}
    folder, account = cluster.data.parent, cluster.runner.account
    return Process(name, argv, env, restart=False, account=account, folder=folder)


def _locale(major: int) -> list[str]:
    """Sort the same on every machine; from 17 on without the operating system's locales."""
    if major >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]


def _check_version(cluster: Cluster) -> None:
    made_by = (cluster.data / "PG_VERSION").read_text().strip()
    if made_by != str(cluster.binaries.major):
        raise CannotStart(
            f"The cluster in {cluster.data} was made by PostgreSQL {made_by}; {cluster.binaries.folder} is "
            f"{cluster.binaries.major}. Set COUNTERSIGN_PG_BIN to the bin folder of a PostgreSQL {made_by}, "
            "or move its data with pg_dump, or set COUNTERSIGN_HOME to a new folder."
        )


def _stop_leftovers(data: Path) -> None:
    """Stop a server of a killed run that still works in this folder; we hold the folder's lock."""
    if not Path("/proc/self").exists():
        return  # PostgreSQL's own check of its pid file must do
    note, deadline = data / "postmaster.pid", time.monotonic() + 15
    while left := _working_in(data.resolve()):
        postmaster = int(note.read_text().split()[0]) if note.exists() else 0
        if time.monotonic() > deadline:
            _signal(left, signal.SIGKILL)
        elif postmaster in left:
            _signal([postmaster], signal.SIGINT)
        time.sleep(0.1)
    # Nobody works here, so the pid in this file is nobody's or a stranger's, which would stop the start.
    note.unlink(missing_ok=True)


def _working_in(data: Path) -> list[int]:
    """Return the server's processes by their working folder: it stays, while their titles change."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "cwd").readlink() == data and b"postgres" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
