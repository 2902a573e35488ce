"""The platform under attack: brought to life over HTTP, held still where an attack needs it, put right afterwards."""

import contextlib
import functools
import io
import os
import re
import signal
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
from django.core.management import CommandError, call_command

from governance import privileges
from governance.demo import payments
from governance.demo.clients import Refused, ask, browser, program, until
from governance.demo.data import Story
from governance.demo.steps import Steps
from governance.platform.postgres import SUPERUSER
from registry import breaches
from registry.ledger import LOGS
from registry.refusals import Mismatch
from tests import builders
from tests.attacks import NotCaughtError
from tests.running import Platform

MODEL, OTHER = "payments", "transfers"
SOON = 30  # seconds: a request, a beat, a turn of the sequencer
DECISIONS = 24


def story(model: str) -> Story:
    """Return what is told of a model: a small one, soon checked."""
    trained = builders.trained()
    rows = trained.holdout.sample(DECISIONS, random_state=1)
    return Story(
        model, "payments", trained, payments.LABEL, payments.TIME, payments.PROTECTED, before=rows, after=rows, notes=[]
    )


class World:
    """One running platform, and the hands of whoever attacks it."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.home = platform, platform.home
        self.steps = Steps()
        self.owner = self.connect(SUPERUSER)
        self.engine = program(platform.scoring_url, platform.tokens["engine"])

    # ---- life
    def live(self) -> None:
        """Two models with a champion each and a second version whose signing is asked for, and decisions."""
        with contextlib.redirect_stdout(io.StringIO()):
            stories = {name: story(name) for name in (MODEL, OTHER)}
            digests = self.steps.upload(stories[MODEL])
            for name in (MODEL, OTHER):
                self.steps.register(stories[name], digests)
                self.steps.check(stories[name], 1)
                self.steps.approve(stories[name], 1)
                self.steps.promote(stories[name], 1)
                self.steps.register(stories[name], digests)
                self.steps.check(stories[name], 2)
            self.decision = self.steps.score(stories[MODEL], stories[MODEL].before, "decisions")
            sent = {"bands": builders.BANDS, "reason": "It finds more fraud."}
            self.requests = {
                name: ask(self.steps.ada, "POST", f"/api/v1/models/{name}/versions/2/requests", json=sent)
                for name in (MODEL, OTHER)
            }
        self.calm()

    # ---- hands
    def connect(self, role: str) -> psycopg.Connection:
        """Return a database session of a role, by its own password."""
        return psycopg.connect(self.platform.database(role), autocommit=True)

    def role(self, name: str) -> psycopg.Connection:
        """Return a session of a server's role: app, scoring, governor, sequencer."""
        return self.connect(f"countersign_{name}")

    def one(self, sql: str, given=()):
        """Return the first row that the database's owner reads."""
        return self.owner.execute(sql, given).fetchone()

    @functools.cached_property
    def features(self):
        """What one payment is scored by."""
        return story(MODEL).request(story(MODEL).before.iloc[0].to_dict())["features"]

    def score(self, model: str = MODEL) -> httpx.Response:
        """Ask for a decision about that payment."""
        return self.engine.post(f"/api/v1/models/{model}/score", json={"features": self.features})

    def answers(self, model: str = MODEL):
        """Return an answer once scoring answers at all; None while it restarts."""
        with suppress(httpx.TransportError):
            return self.score(model).json()
        return None

    def grow(self) -> None:
        """Let something happen that is entered in the governance log."""
        sent = {"name": MODEL, "key": "seen", "value": now().isoformat()}
        ask(self.steps.ada, "POST", "/api/2.0/mlflow/registered-models/set-tag", json=sent)

    def person(self, name: str) -> httpx.Client:
        """Return somebody's signed-in browser."""
        return browser(self.platform.url, name, self.platform.passwords[name])

    def alerts(self, model: str = MODEL) -> list[str]:
        """Return what the alerts about refused loads say."""
        client = program(self.platform.url, self.platform.tokens["engine"])
        found = ask(client, "GET", f"/api/v1/models/{model}/alerts")
        return [alert["detail"] for alert in found if alert["kind"] == "refused load"]

    def health(self) -> tuple[int, str]:
        """Return how the platform says it stands: the status, and its faults in words."""
        answer = httpx.get(f"{self.platform.url}/health")
        faults = answer.json().get("faults", {})
        return answer.status_code, " ".join(text for texts in faults.values() for text in texts)

    def red(self, words: str) -> str:
        """Wait until /health is red with a fault of these words."""
        look = lambda: (found := self.health())[0] == 503 and words in found[1]  # noqa: E731
        try:
            until(words, look, SOON)
        except Refused as refused:
            raise NotCaughtError(f"/health says {self.health()}") from refused
        return f"/health 503 “{words}”"

    def breach(self, words: str) -> str:
        """Wait until a breach of these words is on record, which turns /health red."""
        look = lambda: next((b.detail for log in LOGS for b in breaches.unanswered(log) if words in b.detail), None)  # noqa: E731
        try:
            until("a breach", look, SOON)
        except Refused as refused:
            raise NotCaughtError(f"no breach says {words!r}") from refused
        self.red("unanswered")
        return f"breach “{words}”, /health 503"

    # ---- holding still, and putting right
    @contextmanager
    def stopped(self, name: str = "sequencer"):
        """Hold a process between two of its transactions: it neither works nor ends."""
        numbers = [number for number, told in self.platform.processes().items() if told["PROCESS"] == name]
        busy = (
            "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND (xact_start IS NOT NULL OR state = 'active')"
        )
        for _ in range(200):
            self.send(numbers, signal.SIGSTOP)
            time.sleep(0.02)
            if self.one(busy, [f"countersign_{name}"])[0] == 0:
                break
            self.send(numbers, signal.SIGCONT)
            time.sleep(0.05)
        try:
            yield
        finally:
            self.send(numbers, signal.SIGCONT)

    @staticmethod
    def send(numbers, sign) -> None:
        """Signal processes, as far as they still live."""
        for number in numbers:
            with suppress(ProcessLookupError):
                os.kill(number, sign)

    @contextmanager
    def unguarded(self, *tables: str):
        """What the database's owner does: a transaction in which these tables have no trigger and no foreign key."""
        with self._locked(tables):
            self.owner.execute("SET LOCAL session_replication_role = replica")
            for table in tables:
                self.owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            yield self.owner.execute
            off = "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'D'"
            for table, trigger in self.owner.execute(off).fetchall():
                self.owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")

    @contextmanager
    def _locked(self, tables: tuple[str, ...]):
        """Open a transaction that alone writes these tables; others may hold one and wait for another meanwhile."""
        for _ in range(30):
            self.owner.execute("BEGIN")
            try:
                self.owner.execute("SET LOCAL lock_timeout = '1s'")
                self.owner.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
                break
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                self.owner.execute("ROLLBACK")
        else:
            raise RuntimeError(f"others never let go of {', '.join(tables)}")
        try:
            yield
        except BaseException:
            self.owner.execute("ROLLBACK")
            raise
        self.owner.execute("COMMIT")

    @contextmanager
    def kept(self, *tables: str):
        """Put rows of these tables back that were changed or deleted meanwhile. What others added stays, except places,
        tiles and heads: entries that lose theirs are given them anew.
        """
        for table in tables:
            self.owner.execute(f"DROP TABLE IF EXISTS kept_{table}")
            self.owner.execute(f"CREATE UNLOGGED TABLE kept_{table} AS TABLE {table}")
        try:
            yield
        finally:
            with self.unguarded(*tables) as execute:
                for table in tables:
                    self._put_back(execute, table)
            for table in tables:
                self.owner.execute(f"DROP TABLE kept_{table}")

    def _put_back(self, execute, table: str) -> None:
        columns = execute(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            [table],
        ).fetchone()[0]
        key = execute(
            "SELECT quote_ident(a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
            " AND a.attnum = i.indkey[0] WHERE i.indrelid = %s::regclass AND i.indisprimary",
            [table],
        ).fetchone()[0]
        execute(f"DELETE FROM {table} t USING kept_{table} k WHERE t.{key} = k.{key} AND t::text <> k::text")
        if table in privileges.TREE and table != "registry_breach":
            execute(f"DELETE FROM {table} t WHERE NOT EXISTS (SELECT FROM kept_{table} k WHERE t.{key} = k.{key})")
        execute(
            f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM kept_{table} k"
            f" WHERE NOT EXISTS (SELECT FROM {table} t WHERE t.{key} = k.{key})"
        )

    @contextmanager
    def written(self, path: Path, data: bytes):
        """Put other bytes into a file, and the true ones back."""
        whole = path.read_bytes()
        path.write_bytes(data)
        try:
            yield
        finally:
            path.write_bytes(whole)

    def calm(self) -> None:
        """Wait until all stands well: scoring would answer, every entry has its place, /health is green.

        Each breach has been answered by a person then.
        """
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for breach in [breach for log in LOGS for breach in breaches.unanswered(log)]:
                breaches.answer(breach_id=breach.pk, reason="an attack", by="service:command-line", now=now())
            if self.health()[0] == 200 and self.placed() and self._ready():
                return
            time.sleep(0.3)
        raise RuntimeError(f"the platform did not come to rest: {self.health()}")

    def _ready(self) -> bool:
        with suppress(httpx.TransportError):
            return self.engine.post(f"/api/v1/models/{MODEL}/score", json={"features": {}}).status_code == 422
        return False

    def placed(self) -> bool:
        """Say whether every entry has its place."""
        sql = (
            "SELECT count(*) FROM registry_ledgerentry e LEFT JOIN registry_leaf l ON l.entry_id = e.id WHERE l IS NULL"
        )
        return self.one(sql)[0] == 0


def now() -> datetime:
    """Return the time of the attacker's clock."""
    return datetime.now(UTC)  # noqa: TID251 - the attacker is outside


def brief(text: str) -> str:
    """Return the first sentence of an observation, without what changes from run to run."""
    first = re.sub(r"[0-9a-f]{16,}", "…", " ".join(text.split()).split(". ")[0]).rstrip(".")
    return first if len(first) <= 150 else f"{first[:149].rsplit(' ', 1)[0]} …"


def refused(kind, words: str, act) -> str:
    """Do what must be refused; return the refusal's own words."""
    try:
        act()
    except kind as error:
        text = getattr(error, "detail", None) or str(error)
        if words not in text:
            raise
        return f"“{words or brief(text)}”"
    raise NotCaughtError(f"nobody said {words!r}")


def denied(session: psycopg.Connection, sql: str, given=(), words: str = "permission denied") -> str:
    """Run SQL that the database must refuse; what it did is rolled back if it does not."""

    def act():
        with session.transaction(force_rollback=True):
            session.execute(sql, given)

    return refused(psycopg.Error, words, act)


def verify_ledger(words: str) -> str:
    """Return what verify_ledger says, which must be these words."""
    said = io.StringIO()
    return "verify_ledger " + refused(CommandError, words, lambda: call_command("verify_ledger", stdout=said))


def unsigned(words: str, act) -> str:
    """Return why a sequencer signs nothing."""
    return "sequencer " + refused(Mismatch, words, act)
