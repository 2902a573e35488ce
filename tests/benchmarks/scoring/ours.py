"""Our own server as one runs it: the whole platform, the model promoted on it by people, and its scoring workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from governance.demo.clients import ask, browser
from governance.platform.postgres import SUPERUSER
from tests import running
from tests.benchmarks.scoring import processes
from tests.benchmarks.scoring.forest import MODEL
from tests.benchmarks.scoring.targets import Row, Target

RECORD = """
CREATE TABLE decision (
  id uuid PRIMARY KEY, score float8, inputs jsonb, attributions float8[], at timestamptz NOT NULL DEFAULT now()
)"""
NEEDED = ("scoring", "sequencer", "setup")  # of the platform's processes; beside them PostgreSQL and the witness
PATIENCE = 60


@dataclass
class Ours:
    """A running platform with a champion, as a rule the benchmark's model."""

    at: running.Platform
    model: str = MODEL
    count: int = 2  # scoring workers; as many as the platform starts

    @property
    def port(self) -> int:
        """Where it scores."""
        return int(self.at.scoring_url.rpartition(":")[2])

    @property
    def headers(self) -> dict[str, str]:
        """What a caller proves itself by."""
        return {"Authorization": f"Bearer {self.at.tokens['engine']}"}

    def target(self, name: str = "ours") -> Target:
        """Return it as a target of load."""
        parts = {"of it scoring": lambda: processes.family(self.master()), "postgresql": self.postgres}
        return Target(name, self.port, self.path, body, scores, self.family, self.headers, parts=parts)

    def path(self, rows: Sequence[Row]) -> str:
        """Return where our own API takes one row, or many."""
        return f"/api/v1/models/{self.model}/score" + ("" if len(rows) == 1 else ":batch")

    def family(self) -> list[int]:
        """Return what a decision takes, but PostgreSQL, which the hand-written peer uses too."""
        idle = self.idle()
        return [n for n in processes.family(self.at.process.pid) if n not in idle and not _is_postgres(n)]

    def idle(self) -> set[int]:
        """Return what no decision waits for: pages, checks, monitors, training."""
        return {number for number, told in self.at.processes().items() if told["PROCESS"] not in NEEDED}

    def postgres(self) -> list[int]:
        """Return the database's processes, its first one first."""
        return [number for number in processes.family(self.at.process.pid) if _is_postgres(number)]

    def master(self) -> int:
        """Return gunicorn's master of the scoring process."""
        mine = [number for number, told in self.at.processes().items() if told["PROCESS"] == "scoring"]
        parents = processes.everybody()
        return next(number for number in mine if parents.get(number, 0) not in (0, *mine))

    def workers(self) -> list[int]:
        """Return the scoring workers."""
        master = self.master()
        return [number for number, parent in processes.everybody().items() if parent == master]

    def scale(self, count: int) -> None:
        """Have so many scoring workers, as gunicorn is told while it runs."""
        while (found := len(self.workers())) != count:
            os.kill(self.master(), signal.SIGTTIN if found < count else signal.SIGTTOU)
            end = time.monotonic() + PATIENCE
            while len(self.workers()) == found and time.monotonic() < end:
                time.sleep(0.1)
        self.count = count

    def quiet(self) -> None:
        """Hold still what no decision waits for."""
        processes.tell(self.idle(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let everything go on."""
        processes.tell(processes.family(self.at.process.pid), signal.SIGCONT)

    def connect(self, database: str | None = None) -> psycopg.Connection:
        """Connect as the owner of the database, or to another on the same server."""
        return psycopg.connect(self.url(database), autocommit=True)

    def url(self, database: str | None = None) -> str:
        """Return the address of the database, as its owner."""
        url = self.at.database(SUPERUSER)
        if database is None:
            return url
        place, _, options = url.partition("?")
        return f"{place.rpartition('/')[0]}/{database}?{options}"

    def record_url(self) -> str:
        """Return the address of the hand-written peer's table, in a database of its own on the same server."""
        with self.connect() as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'by_hand'").fetchone():
                connection.execute("CREATE DATABASE by_hand")
                with self.connect("by_hand") as made:
                    made.execute(RECORD)
        return self.url("by_hand")

    def order(self, kind: str, version: int) -> None:
        """Let the operator order a promotion or a roll-back; the governor carries it out a moment later."""
        olivia = browser(self.at.url, "olivia", self.at.passwords["olivia"])
        sent = {"kind": kind, "reason": "The benchmark asks for it."}
        ask(olivia, "POST", f"/api/v1/models/{self.model}/versions/{version}/orders", json=sent)

    def promote(self, seed: int) -> None:
        """Register another version and make it champion."""
        command = [sys.executable, "-m", "tests.benchmarks.scoring.promoting", str(seed)]
        told = self.at.environment() | {"LOG_LEVEL": "ERROR"}
        done = subprocess.run(command, cwd=running.ROOT, env=told, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}")


def _is_postgres(number: int) -> bool:
    program = (processes.command(number) or [""])[0].partition(":")[0]  # its processes have titles: "postgres: …"
    return Path(program).name == "postgres"


def body(rows: Sequence[Row]) -> dict:
    """Return what our own API takes."""
    each = [{"features": dict(row)} for row in rows]
    return each[0] if len(rows) == 1 else {"rows": each}


def scores(answer: dict) -> list[float]:
    """Return the scores of an answer."""
    return [said["score"] for said in answer.get("decisions", [answer])]


@contextmanager
def platform(folder: Path) -> Iterator[Ours]:
    """Start a platform and promote the model on it."""
    with running.platform(folder / "home") as at:
        made = Ours(at)
        made.promote(1)
        try:
            yield made
        finally:
            made.resume()


def facts(made: Ours) -> dict:
    """Return what the results say about the server."""
    with made.connect() as connection:
        names = ("server_version", "fsync", "synchronous_commit")
        found = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in names}  # type: ignore[index]
    words = processes.command(made.master())
    return {"postgresql": found, "scoring": " ".join(words[words.index("gunicorn") :])}
