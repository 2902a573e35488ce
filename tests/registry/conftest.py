"""Stock MLflow clients in front of a running platform."""

import subprocess
import sys
import time
import uuid
from contextlib import suppress

import httpx
import lightgbm
import mlflow
import pytest
from mlflow.store.model_registry import abstract_store

from tests import running
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
    monkeypatch.setattr(abstract_store, "AWAIT_MODEL_VERSION_CREATE_SLEEP_INTERVAL_SECONDS", 0.2)  # it asks each 3 s
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


@pytest.fixture(scope="session")
def stock_tracking(tmp_path_factory):
    """The address of a stock `mlflow server`, as teams have one already."""
    folder, port = tmp_path_factory.mktemp("stock"), running.free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/db", "--artifacts-destination", str(folder / "files")]
    server = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + running.PATIENCE
    try:
        while time.monotonic() < end:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(60)
