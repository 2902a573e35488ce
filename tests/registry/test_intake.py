"""What a client calls the source of a version, and what is really taken from the tracking server."""

import json
import math
import time
import uuid

import httpx
import lightgbm
import mlflow
import numpy as np
import pytest

from governance.platform.home import Home
from registry.intake import sources
from registry.intake.files import Unresolved
from registry.refusals import Invalid, TooLarge, Unavailable


@pytest.fixture(scope="module")
def socket(platform):
    """The tracking server's private socket, once it answers."""
    path = str(Home(platform.home).sockets() / "tracking.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://localhost") as tracking:
        for _ in range(240):
            try:
                tracking.get("/health").raise_for_status()
                return path
            except httpx.TransportError:
                time.sleep(0.5)
    raise TimeoutError("the tracking server does not answer")


@pytest.fixture(scope="module")
def logged(platform, socket):
    """A model that Ada logged, and the run that made it."""
    before = mlflow.get_tracking_uri()
    rows = np.random.default_rng(7).normal(size=(200, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_TOKEN", platform.tokens["ada"])
        mlflow.set_tracking_uri(platform.url)
        booster = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(rows, rows[:, 0]), 2)
        with mlflow.start_run() as run:
            mlflow.set_tag("mlflow.source.git.commit", "0a" * 20)
            mlflow.log_param("rounds", 2)
            mlflow.log_metrics({"error": 0.25, "lift": math.nan})
            info = mlflow.lightgbm.log_model(booster, name="model", params={"depth": "6"})
            mlflow.log_dict({"a": 1}, "beside/plain.json")
            mlflow.log_dict({"a": 1}, "beside/deep er/100%.json")
    mlflow.set_tracking_uri(before)
    return run.info, info


@pytest.fixture
def tracking(socket, settings):
    settings.TRACKING_SOCKET = socket
    return settings


def alike(offered):
    return [(file.path, file.size) for file in offered.files], offered.run_id, offered.model_id


def test_a_logged_model_is_taken_with_what_its_run_recorded(tracking, logged):
    run, info = logged
    found = sources.fetch(f"models:/{info.model_id}")
    assert {"MLmodel", "model.lgb", "requirements.txt"} <= {file.path for file in found.files}
    assert (found.run_id, found.model_id) == (run.run_id, info.model_id)
    assert found.parameters == {"rounds": "2", "depth": "6"}
    assert found.metrics == {"error": 0.25}
    assert found.tags["mlflow.source.git.commit"] == "0a" * 20
    assert alike(sources.fetch(f"models:/{info.model_id}", run.run_id, info.model_id)) == alike(found)


def test_a_folder_of_a_run_is_taken_by_either_name(tracking, logged):
    run, _ = logged
    by_run = sources.fetch(f"runs:/{run.run_id}/beside")
    assert {file.path for file in by_run.files} == {"plain.json", "deep er/100%.json"}
    assert json.loads(b"".join(by_run.files[0].pieces())) == {"a": 1}
    assert by_run.run_id == run.run_id
    assert alike(sources.fetch(f"{run.artifact_uri}/beside", run.run_id)) == alike(by_run)


@pytest.mark.parametrize(
    "source",
    [
        "https://models.example/m",
        "dbfs:/m",
        "mlflow-artifacts:/",
        "mlflow-artifacts://b.example/0/m",
    ],
)
def test_a_source_that_nobody_can_be_asked_for_is_unresolved(tracking, source):
    with pytest.raises(Unresolved, match="cannot be taken"):
        sources.fetch(source)


def test_what_the_tracking_server_does_not_know_is_said_so(tracking):
    for source in (f"models:/m-{uuid.uuid4().hex}", f"runs:/{uuid.uuid4().hex}/model"):
        with pytest.raises(Unresolved, match="knows nothing of"):
            sources.fetch(source)


def test_a_lineage_that_the_tracking_server_contradicts_is_refused(tracking, logged):
    run, info = logged
    other = uuid.uuid4().hex
    for claim in (
        {"source": f"models:/{info.model_id}", "run_id": other},
        {"source": f"models:/{info.model_id}", "model_id": f"m-{other}"},
        {"source": "mlflow-artifacts:/0/models/m-1/artifacts", "model_id": info.model_id},
        {"source": f"runs:/{run.run_id}/beside", "run_id": other},
    ):
        with pytest.raises(Invalid, match="is said to be"):
            sources.fetch(**claim)
    with pytest.raises(Invalid, match="is not an artifact of run"):
        sources.fetch("mlflow-artifacts:/0/models/m-1/artifacts", run.run_id)


def test_more_than_is_accepted_is_too_large(tracking, logged):
    tracking.UPLOAD_LIMIT = 100
    with pytest.raises(TooLarge, match="100 bytes"):
        sources.fetch(f"models:/{logged[1].model_id}")


def test_a_tracking_server_that_is_down_or_missing_is_said_so(settings, tmp_path):
    settings.TRACKING_SOCKET = str(tmp_path / "nobody.sock")
    with pytest.raises(Unavailable, match="does not answer"):
        sources.fetch("runs:/0/model")
    settings.TRACKING_SOCKET = settings.TRACKING_URL = ""
    with pytest.raises(Unavailable, match="No tracking server"):
        sources.fetch("runs:/0/model")
