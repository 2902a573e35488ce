"""An installation without a supervisor, for stories that kill its processes: a database, folders, keys, a witness."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import psycopg

from tests.running import ROOT, free_port

PATIENCE = 60.0  # seconds that a process may take to be there


@dataclass
class Installation:
    """Its data folder, the address of its database (as its owner), and what runs of it by name."""

    home: Path
    url: str
    witness_port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen] = field(default_factory=dict)

    def environment(self, process: str = "setup", role: str | None = None, name: str = "test") -> dict[str, str]:
        """Return the environment of a process; `role`: what it may do in the database, without one all.

        `name`: what the database knows its sessions by.
        """
        options = [f"application_name={quote(name)}"]
        options += [f"options={quote(f'-c role=countersign_{role}')}"] if role else []
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
        return {
            **kept,
            "COUNTERSIGN_HOME": str(self.home),
            "DATABASE_URL": "&".join([self.url, *options]),
            "DJANGO_SETTINGS_MODULE": "governance.settings",
            "SECRET_KEY": "only for tests",
            "PROCESS": process,
            "LOG_KEY_FILE": str(self.home / "keys" / "log.key"),
            "WARRANT_KEY_FILE": str(self.home / "keys" / "warrant.key"),
            "WEBHOOK_KEY_FILE": str(self.home / "keys" / "webhook.key"),
            "OMP_NUM_THREADS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def connect(self) -> psycopg.Connection:
        """Connect as the owner of everything; every statement commits by itself."""
        return psycopg.connect(self.url, autocommit=True)

    def manage(self, *words: str) -> str:
        """Run a command of the owner's to its end and return what it said."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def start(self, name: str, *words: str, process: str = "setup", role: str | None = None) -> subprocess.Popen:
        """Start a Python process under a name; what it says goes into a file of that name."""
        with (self.home / f"{name}.log").open("ab") as output:
            made = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=self.environment(process, role, name),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running[name] = made
        return made

    def start_sequencer(self, name: str = "sequencer") -> subprocess.Popen:
        """Start a sequencer, which may have to stand by."""
        return self.start(name, "manage.py", "sequence_log", process="sequencer", role="sequencer")

    def start_witness(self) -> None:
        """Start the witness that the trust policy names, and wait until it answers."""
        folder = self.home / "witness"
        options = ["--listen", f"127.0.0.1:{self.witness_port}", "--state", str(folder / "state")]
        options += ["--key", str(folder / "witness.key"), "--policy", str(self.home / "keys" / "log.policy")]
        self.start("witness", "manage.py", "witness", *options)
        until(lambda: answers(f"http://127.0.0.1:{self.witness_port}/health"), "the witness answers")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a process and its children, by default without a word."""
        ended = self.running.pop(name)
        if ended.poll() is None:
            os.killpg(ended.pid, number)
        ended.wait(PATIENCE)

    def leader(self) -> str | None:
        """Return the name of the sequencer that holds the lock."""
        with self.connect() as connection:
            row = connection.execute(
                "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
            ).fetchone()
        return row[0] if row else None


@contextmanager
def installation(home: Path, *, server: str | None = None) -> Iterator[Installation]:
    """Make a database of its own on the server of a URL (DATABASE_URL's by default), set it up, and drop it again."""
    parts = urlsplit(server or os.environ["DATABASE_URL"])
    name = f"test_{secrets.token_hex(6)}"
    query = parts.query or "connect_timeout=10"
    made = Installation(home, parts._replace(path=f"/{name}", query=query).geturl())
    with psycopg.connect(parts.geturl(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            with made.connect() as owner, admin.transaction():
                admin.execute("SELECT pg_advisory_xact_lock(1)")  # roles belong to the whole server
                owner.execute((ROOT / "governance" / "deploy" / "roles.sql").read_bytes())
            home.mkdir(parents=True, exist_ok=True)
            made.manage("setup_platform", "--witness", f"http://127.0.0.1:{made.witness_port}")
            yield made
        finally:
            for started in list(made.running):
                made.kill(started)
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def until(true, what: str, patience: float = PATIENCE, pause: float = 0.05) -> float:
    """Wait until something is true; return for how many seconds."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < patience, f"not within {patience} s: {what}"
        time.sleep(pause)
    return time.monotonic() - begun


def answers(url: str) -> bool:
    """Say whether a server answers there that all is well."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
