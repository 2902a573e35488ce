"""Stock MLflow clients in front of a running platform."""

import time
import uuid

import lightgbm
import mlflow
import pytest

from tests.logged import LABELS, ROWS, another_person, send


@pytest.fixture(scope="session")
def tracked(platform):
    """The platform, its tracking server up too: nobody waits for that one when the others start."""
    for _ in range(240):
        if send(platform, "GET", "/api/2.0/mlflow/experiments/search?max_results=1").status_code == 200:
            return platform
        time.sleep(0.5)
    raise TimeoutError("the tracking server does not answer")


@pytest.fixture
def ada_client(tracked, platform, monkeypatch):
    """Ada's client, tracking and registering here."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", platform.tokens["ada"])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(platform.url)
    mlflow.set_registry_uri(platform.url)
    yield mlflow.MlflowClient()
    mlflow.set_registry_uri(None)
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def bob(tracked):
    """The token of another data scientist."""
    return another_person(tracked, "bob", "data-scientist")


@pytest.fixture
def name():
    return f"fraud-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def booster():
    return lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(ROWS, LABELS), 8)
