"""The world, built through the public services: each builder is the story so far."""

import functools
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import mlflow
import pandas as pd
import psycopg
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.files.storage import storages
from django.db import connection, transaction
from django.utils import timezone

from governance import approvals, promotion, training
from governance.demo import payments
from monitoring import frames, performing, runs, watching
from monitoring.models import MonitorRun
from registry import datasets, policies, sequencing, versions
from registry.ledger import LOGS
from registry.models import Dataset, LedgerEntry, ModelVersion, RegisteredModel, User
from registry.schema import SCORE, Column, Schema
from scoring import admission, decisions, outcomes, serving
from scoring.models import Decision

PASSWORD = "correct horse battery"
PEOPLE = {
    "ada": "data-scientist",
    "grace": "risk-analyst",
    "gwen": "risk-analyst",
    "alan": "risk-lead",
    "olivia": "operator",
    "clara": "compliance",
    "engine": "decision-engine",
    "trainer": "trainer",
}
BANDS = [
    {"name": "allow", "from": 0, "action": "let through"},
    {"name": "review", "from": 0.1, "action": "send to an analyst"},
    {"name": "block", "from": 0.5, "action": "decline"},
]


@functools.cache
def hashed_password() -> str:
    return make_password(PASSWORD)


def everybody(at: datetime) -> SimpleNamespace:
    """Enter the people of every story with their roles, by name."""
    found = {}
    for name, role in PEOPLE.items():
        told = {"first_name": name.capitalize(), "password": hashed_password(), "date_joined": at}
        user = User.objects.get_or_create(username=name, defaults=told)[0]  # set-up makes one of them
        user.groups.set(Group.objects.filter(name=role))
        found[name] = user
    return SimpleNamespace(**found)


@functools.cache
def stream(payments_: int = 6000, seed: int = 11) -> pd.DataFrame:
    return payments.simulate(payments_, seed=seed)


@functools.cache
def trained() -> training.Trained:
    frame = stream()
    left_out = [name for name in frame.columns if name not in payments.FEATURES]
    # The stream knows of missing values that this sample may not hold.
    columns = [
        Column(c.name, c.kind, c.nullable or c.kind == "number", c.categories)
        for c in training.guess_columns(frame, left_out)
    ]
    return training.train(
        frame, Schema(tuple(columns)), label=payments.LABEL, time=payments.TIME, keep=payments.PROTECTED
    )


@functools.cache
def model_files() -> dict[str, bytes]:
    made = trained()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        mlflow.lightgbm.save_model(
            made.booster,
            str(path),
            signature=training.signature(made.schema),
            metadata=training.metadata(made.schema),
        )
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def broken_files() -> dict[str, bytes]:
    """The files of a model that loads and then fails on every row: its leaves add up to no number."""
    leaves = re.compile(rb"^leaf_value=(.*)$", re.MULTILINE)
    text = re.sub(rb"(?m)^tree_sizes=.*\n", b"", model_files()["model.lgb"])  # each tree may have another length now
    endless = leaves.sub(lambda found: b"leaf_value=" + b" ".join([b"1e308"] * len(found[1].split())), text)
    return {**model_files(), "model.lgb": endless}


def now() -> datetime:
    return timezone.now()


def parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


def a_model(by: User, name: str = "fraud") -> RegisteredModel:
    found = RegisteredModel.objects.filter(name=name).first()
    return found or versions.register_model(name=name, by=by, now=now())


def a_version(
    by: User, name: str = "fraud", *, data: bool = True, protected=payments.PROTECTED, **changes
) -> ModelVersion:
    made = trained()
    sets = {}
    if data:
        labelled = training.columns(made.schema, label=payments.LABEL, time=payments.TIME, protected=protected)
        scored = training.columns(made.schema, score=SCORE)
        for role, columns in (("training", labelled), ("holdout", labelled), ("golden", scored)):
            sets[role] = datasets.register(
                data=parquet(getattr(made, role)), name=role, columns=columns, by=by, now=now()
            )
        sets["reference"] = sets["training"]
    for role in changes.pop("leave_out", ()):
        sets.pop(role)
    return versions.register(
        model=a_model(by, name),
        files=changes.pop("files", model_files()),
        by=by,
        now=now(),
        lineage=changes.pop("lineage", {"source": "test"}),
        data=sets,
        **changes,
    )


def check(version: ModelVersion) -> None:
    """Perform every check the version owes, as the workers would."""
    runs.open_missing(now())
    for run in runs.waiting(now()):
        if run.version_id == version.pk:
            performing.perform(run, now=now())


def a_checked_version(by: User, name: str = "fraud", **changes) -> ModelVersion:
    version = a_version(by, name, **changes)
    check(version)
    return version


def a_request(by: User, version: ModelVersion | None = None, **package):
    version = version or a_checked_version(by)
    return approvals.request(version=version, bands=BANDS, reason="It finds more fraud.", by=by, now=now(), **package)


def sign(request, by: User, outcome: str = "approve", password: str = PASSWORD):
    return approvals.sign(
        request=request,
        outcome=outcome,
        meaning=approvals.MEANINGS[outcome],
        reason="I read the evidence.",
        password=password,
        by=by,
        now=now(),
    )


def an_approved_version(
    ada: User, grace: User, alan: User, version: ModelVersion | None = None, **package
) -> ModelVersion:
    request = a_request(ada, version, **package)
    sign(request, grace)
    sign(request, alan)
    return request.package.version


def a_champion(people, version: ModelVersion | None = None, **package) -> ModelVersion:
    """A version that serves. `package`: the reason map and whatever else is signed with it."""
    version = an_approved_version(people.ada, people.grace, people.alan, version, **package)
    promotion.promote(version=version, reason="Go.", by=people.olivia, now=now())
    promotion.execute_waiting(now())
    return version


def features(place: int = 0) -> dict[str, object]:
    row = stream().iloc[place].to_dict()
    return frames.plain(row, trained().schema)


def a_decision(people, place: int = 0, **given) -> Decision:
    return decisions.decide(name="fraud", features=features(place), by=people.engine, now=now(), **given)


def an_outcome(people, decision: Decision, label: int = 1, source: str = "chargeback", days: float = 0) -> None:
    """What a source reports about a decision, observed `days` ago."""
    told = {
        "decision": str(decision.id),
        "label": label,
        "source": source,
        "observed_at": later(-days).isoformat(),
    }
    outcomes.record(outcomes=[told], by=people.engine, now=now())


def sequence() -> None:
    """Let the sequencer run until every entry has its place, as it does in its own process.

    A transaction still open in any database of the server holds it back; tests in parallel have some.
    """
    logs = [sequencing.Sequencer.open(log) for log in LOGS]
    end = time.monotonic() + 120
    while LedgerEntry.objects.filter(leaf_row=None).exists() and time.monotonic() < end:
        for log in logs:
            log.advance(now())
        time.sleep(0.05)


def settle_transactions() -> None:
    """Wait until all that was committed so far lies below every running transaction, as followers of rows need it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text")
        mine = cursor.fetchone()[0]
        end = time.monotonic() + 120
        while time.monotonic() < end:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) > %s::xid8", [mine])
            if cursor.fetchone()[0]:
                return
            time.sleep(0.05)


def watch() -> list[MonitorRun]:
    """Let the monitors look at everything committed so far, as their worker would a moment later."""
    settle_transactions()
    return watching.watch_all(now())


def a_policy(people, **changes):
    """Adopt the rules in force with these parts changed, for all that is packaged from now on."""
    return policies.adopt(tier=1, rules={**policies.in_force(1).rules, **changes}, by=people.alan, now=now())


@contextmanager
def changed_on_disk(version: ModelVersion) -> Iterator[None]:
    """Change a leaf of the model's stored file, as an intruder in the file system could; put it back afterwards."""
    path = stored(version.artifact[version.lineage["model_file"]]["sha256"])
    with _written(path, path.read_bytes().replace(b"leaf_value=", b"leaf_value=9")):
        yield


@contextmanager
def damaged(dataset: Dataset) -> Iterator[None]:
    """Change the last byte of a data set's stored file; put it back afterwards."""
    path = stored(dataset.digest)
    with _written(path, path.read_bytes()[:-1] + b"?"):
        yield


def stored(digest: str) -> Path:
    """Return where the bytes of a digest are kept."""
    return Path(storages["artifacts"].path(f"{digest[:2]}/{digest[2:4]}/{digest}"))


@contextmanager
def _written(path: Path, data: bytes) -> Iterator[None]:
    whole = path.read_bytes()
    try:
        path.write_bytes(data)
        yield
    finally:
        path.write_bytes(whole)


@contextmanager
def superuser(*tables):
    """What the owner of the database can do: switch the triggers off, write, switch them on again."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what waits for a commit is judged now
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        yield cursor.execute
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


@contextmanager
def another_session(name: str):
    """A session of another program on the same database, by the name that it gives itself."""
    told = connection.get_connection_params() | {"application_name": name}
    told = {key: told[key] for key in ("dbname", "user", "password", "host", "port", "application_name") if key in told}
    with psycopg.connect(**told, autocommit=True) as session:
        yield session


def forget_serving() -> None:
    """A server process that has just started."""
    serving._slots.clear()
    admission.forget()


def stale(name: str = "fraud") -> None:
    """Half a second later, when a server asks again what serves; a refused deployment is due to be tried again."""
    serving._slots[name].asked -= serving.FRESH
    serving._slots[name].retry = 0


def later(days: float) -> datetime:
    return now() + timedelta(days=days)
