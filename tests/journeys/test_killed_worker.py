"""A worker that is killed in the middle of a check loses nothing: the next one finishes it."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import mlflow
import psycopg
import pytest

from governance import training
from governance.demo import payments
from governance.demo.clients import ask, program, until
from governance.policy_defaults import DEFAULTS
from registry.schema import SCORE
from tests import builders, running

MODEL = "killed-worker"
CHECKS = DEFAULTS[1]["checks"]
RUNS = """
SELECT count(DISTINCT a.id), count(DISTINCT s.run_id) FROM monitoring_checkrun r
JOIN registry_modelversion v ON v.id = r.version_id JOIN registry_registeredmodel m ON m.id = v.model_id
LEFT JOIN monitoring_checkattempt a ON a.run_id = r.id LEFT JOIN monitoring_checkresult s ON s.run_id = r.id
WHERE m.name = %s AND r.check_name = 'consistency'
"""


def register(platform, client, made):
    """Register a version with its data sets by a stock mlflow client, as a data scientist does."""
    ada = program(platform.url, platform.tokens["ada"])
    labelled = {"label": payments.LABEL, "time": payments.TIME, "protected": payments.PROTECTED}
    tags = {}
    for role, named in (("training", labelled), ("holdout", labelled), ("golden", {"score": SCORE})):
        file = ("data.parquet", io.BytesIO(builders.parquet(getattr(made, role))), "application/vnd.apache.parquet")
        sent = {"name": role, "columns": json.dumps(training.columns(made.schema, **named))}
        tags[f"countersign.{role}"] = ask(ada, "POST", "/api/v1/datasets", files={"file": file}, data=sent)["digest"]
    tags["countersign.reference"] = tags["countersign.training"]
    with client.start_run():
        client.set_tags(tags)
        client.lightgbm.log_model(
            made.booster,
            name="model",
            signature=training.signature(made.schema),
            metadata=training.metadata(made.schema),
            registered_model_name=MODEL,
        )
    return ada


@pytest.fixture
def client(platform, monkeypatch):
    """The stock client, told of this platform."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", platform.tokens["ada"])
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(platform.url)
    mlflow.set_registry_uri(platform.url)
    yield mlflow
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def test_a_check_whose_worker_is_killed_in_the_middle_is_finished_by_the_next(walked, platform, client):
    with psycopg.connect(platform.database(), autocommit=True) as connection, ThreadPoolExecutor(1) as beside:

        def attempts_and_results():
            return connection.execute(RUNS, [MODEL]).fetchone()

        workers, end = platform.numbers("checks"), time.monotonic() + 120
        registering = beside.submit(register, platform, client, builders.trained())  # it may outlast the check
        while attempts_and_results() == (0, 0) and time.monotonic() < end:
            time.sleep(0.001)
        assert running.kill(workers) >= 2
        assert attempts_and_results() == (1, 0)  # begun, and interrupted
        ada = registering.result()
        until("the check is done after all", lambda: attempts_and_results() == (2, 1))
    path = f"/api/v1/models/{MODEL}/versions/1/stage"
    checks = until(
        "every check has a verdict", lambda: len(found := ask(ada, "GET", path)["checks"]) == len(CHECKS) and found
    )
    assert checks["consistency"]["verdict"] == "pass"
