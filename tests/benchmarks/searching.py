"""Registry searches over 10,000 models of 10 versions each, beside a stock `mlflow server` holding the same rows.

The stock server keeps them once in PostgreSQL, on the same machine as ours, and once in SQLite, its default. The three
are asked in turns, one request at a time over a connection that stays open; what counts is the ratio of the medians.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import sqlalchemy

from tests.installations import Installation, answers, until
from tests.running import free_port

MODELS, VERSIONS, ROUNDS = 10_000, 10, 25
_M, _V = "registered-models/search", "model-versions/search"
SEARCHES = {
    "models, first page": (_M, {}),
    "models by name": (_M, {"filter": "name = 'model-05000'"}),
    "models ILIKE": (_M, {"filter": "name ILIKE '%MODEL-05%'"}),
    "models by tag": (_M, {"filter": "tags.team = 'team-42'"}),
    "models by two tags, backwards": (
        _M,
        {"filter": "tags.team = 'team-42' AND tags.area = 'area-2'", "order_by": "name DESC"},
    ),
    "versions of a model": (_V, {"filter": "name = 'model-05000'"}),
    "versions of a run": (_V, {"filter": "run_id = '00000000000000000000000000005000'"}),
    "versions by tag": (_V, {"filter": "tags.build = 'build-77'", "max_results": 100}),
    "versions, first page": (_V, {"max_results": 100}),
    "newest numbers": (_V, {"filter": "version_number >= 10", "max_results": 100, "order_by": "name ASC"}),
}
_NAMES = f"FROM generate_series(0, {MODELS - 1}) AS m"
_NUMBERS = f"{_NAMES}, generate_series(1, {VERSIONS}) AS v"
_NAME, _RUN = "'model-' || lpad(m::text, 5, '0')", "lpad(m::text, 32, '0')"
_AT = "timestamptz '2026-01-01' + (m * 10 + {}) * interval '1 second'"
_MODEL, _NUMBER = "md5('m' || m)::uuid", "md5('v' || m || '-' || v)::uuid"
_ARTIFACT = """jsonb_build_object('MLmodel', jsonb_build_object('sha256', repeat('0', 64), 'size', 900),
'model.lgb', jsonb_build_object('sha256', repeat('1', 64), 'size', 90000))"""
_SCHEMA = """(SELECT jsonb_agg(jsonb_build_object('name', 'column_' || c, 'kind', 'number', 'nullable', true,
'categories', '[]'::jsonb)) FROM generate_series(1, 20) AS c)"""
OURS = (
    f"""INSERT INTO registry_registeredmodel (id, name, description, purpose, exposure, tier, owner_id, created_at)
    SELECT {_MODEL}, {_NAME}, 'A model.', 'decides', 'high', 1, %(by)s, {_AT.format(0)} {_NAMES}""",
    f"""INSERT INTO registry_registration (id, model_id, number, source, run_id, logged_model, run_link, description,
    tags, asked_by_id, asked_at) SELECT {_NUMBER}, {_MODEL}, v, 'models:/m-' || m, {_RUN}, '', '', '', '{{}}', %(by)s,
    {_AT.format("v")} {_NUMBERS}""",
    "ALTER TABLE registry_modelversion DISABLE TRIGGER one_end",  # it takes a lock for each row, and one statement all
    f"""INSERT INTO registry_modelversion (id, model_id, number, digest, artifact, flavour, schema, unservable, lineage,
    metrics, description, registered_by_id, registered_at)
    SELECT {_NUMBER}, {_MODEL}, v, repeat('2', 64), {_ARTIFACT}, 'lightgbm', {_SCHEMA}, '',
    jsonb_build_object('run_id', {_RUN}), '{{}}', '', %(by)s, {_AT.format("v")} {_NUMBERS}""",
    "ALTER TABLE registry_modelversion ENABLE ALWAYS TRIGGER one_end",
    f"""INSERT INTO registry_tag (id, model_id, registration_id, key, value, set_by_id, set_at)
    SELECT gen_random_uuid(), {_MODEL}, NULL, key, value, %(by)s, {_AT.format(0)} {_NAMES},
    LATERAL (VALUES ('team', 'team-' || m %% 100), ('area', 'area-' || m %% 10)) AS t (key, value)""",
    f"""INSERT INTO registry_tag (id, model_id, registration_id, key, value, set_by_id, set_at)
    SELECT gen_random_uuid(), {_MODEL}, {_NUMBER}, 'build', 'build-' || m %% 1000, %(by)s, {_AT.format("v")}
    {_NUMBERS}""",
    f"""INSERT INTO registry_alias (id, model_id, name, registration_id, reason, set_by_id, set_at)
    SELECT gen_random_uuid(), {_MODEL}, 'candidate', md5('v' || m || '-10')::uuid, '', %(by)s, {_AT.format(11)}
    {_NAMES}""",
    "VACUUM ANALYZE",
)


def measure(at: Installation) -> dict:
    """Return for each search the medians in milliseconds, and ours over the best of the stock server's."""
    with (
        stock(at.home / "sqlite", f"sqlite:///{at.home}/stock.db") as sqlite,
        database(at) as store,
        stock(at.home / "postgresql", store) as postgresql,
        ours(at) as (url, token),
    ):
        asked = {"ours": url, "postgresql": postgresql, "sqlite": sqlite}
        return compare(asked, {"Authorization": f"Bearer {token}"})


def goals(found: dict) -> list[tuple[str, str, float, bool]]:
    """Return each goal with what was measured, as `tests.benchmarks.ledger` does."""
    return [
        (f"search, p50 over stock's: {name}", "≤ 1", row["ratio"], row["ratio"] <= 1) for name, row in found.items()
    ]


def compare(asked: dict[str, str], headers: dict[str, str]) -> dict:
    """Ask everybody everything in turns."""
    found = {}
    with httpx.Client(headers=headers, timeout=60) as client:
        for name, (path, query) in SEARCHES.items():
            took: dict[str, list[float]] = {who: [] for who in asked}
            for turn in range(ROUNDS + 3):
                rows = {}
                for who, url in asked.items():
                    begun = time.perf_counter()
                    answer = client.get(f"{url}/api/2.0/mlflow/{path}", params={"max_results": 100, **query})
                    seconds = time.perf_counter() - begun
                    assert answer.status_code == 200, answer.text
                    rows[who] = len(answer.json().get(path.split("/")[0].replace("-", "_"), []))
                    if turn >= 3:  # the first warm caches
                        took[who].append(seconds * 1000)
                assert len(set(rows.values())) == 1, f"{name}: {rows}"
            medians = {f"{who}_ms": round(statistics.median(times), 2) for who, times in took.items()}
            best = min(medians["postgresql_ms"], medians["sqlite_ms"])
            found[name] = {**medians, "rows": rows["ours"], "ratio": round(medians["ours_ms"] / best, 3)}
            print(f"  {name:<34} {found[name]}", file=sys.stderr)
    return found


@contextmanager
def ours(at: Installation) -> Iterator[tuple[str, str]]:
    """Fill the installation's registry and serve it as the platform does; yield its address and a token."""
    at.manage("add_person", "ada", "--role", "data-scientist", "--service")
    token = at.manage("issue_token", "ada", "--name", "benchmark").strip()
    with at.connect() as connection:
        by = connection.execute("SELECT id FROM registry_user WHERE username = 'ada'").fetchone()[0]
        for statement in OURS:
            connection.execute(statement, {"by": by} if "%(by)s" in statement else None)
    port = free_port()
    options = f"-k governance.listening.Worker --workers 2 --threads 8 --bind 127.0.0.1:{port} --no-control-socket"
    at.start("web", "-m", "gunicorn", "governance.wsgi:application", *options.split(), process="web", role="app")
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/ready"), "our server answers")
        yield f"http://127.0.0.1:{port}", token
    finally:
        at.kill("web", 15)


@contextmanager
def database(at: Installation) -> Iterator[str]:
    """Make a second database on the same server and yield its address as SQLAlchemy writes it."""
    name = f"{urlsplit(at.url).path[1:]}_stock"
    with at.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(at.url)._replace(scheme="postgresql+psycopg", path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def stock(folder: Path, store: str) -> Iterator[str]:
    """Start a stock server on a store that it makes, fill that, and yield the server's address."""
    folder.mkdir()
    port = free_port()
    words = ["server", "--port", str(port), "--workers", "2", "--backend-store-uri", store]
    words += ["--artifacts-destination", str(folder / "files")]
    told = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words], env=told, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), "the stock server answers", 180)
        fill(store)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def fill(store: str) -> None:
    """Write the same rows into the tables of a stock server."""
    pad, second = "model-{:05}".format, 1_767_225_600_000
    models, versions, tags, build, aliases = [], [], [], [], []
    for m in range(MODELS):
        name, at = pad(m), second + m * 10_000
        models.append({"n": name, "t": at, "u": at + VERSIONS * 1000})
        tags += [{"n": name, "k": "team", "v": f"team-{m % 100}"}, {"n": name, "k": "area", "v": f"area-{m % 10}"}]
        aliases.append({"n": name})
        for v in range(1, VERSIONS + 1):
            versions.append({"n": name, "v": v, "t": at + v * 1000, "s": f"models:/m-{m}", "r": f"{m:032}"})
            build.append({"n": name, "v": v, "b": f"build-{m % 1000}"})
    statements = {
        "registered_models (workspace, name, creation_time, last_updated_time, description) "
        "VALUES ('default', :n, :t, :u, 'A model.')": models,
        "model_versions (workspace, name, version, creation_time, last_updated_time, description, user_id, "
        "current_stage, source, run_id, status) "
        "VALUES ('default', :n, :v, :t, :t, '', 'ada', 'None', :s, :r, 'READY')": versions,
        "registered_model_tags (workspace, name, key, value) VALUES ('default', :n, :k, :v)": tags,
        "model_version_tags (workspace, name, version, key, value) VALUES ('default', :n, :v, 'build', :b)": build,
        "registered_model_aliases (workspace, name, alias, version) VALUES ('default', :n, 'candidate', 10)": aliases,
    }
    engine = sqlalchemy.create_engine(store)
    with engine.begin() as connection:
        for statement, rows in statements.items():
            connection.execute(sqlalchemy.text(f"INSERT INTO {statement}"), rows)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text("ANALYZE"))
    engine.dispose()
