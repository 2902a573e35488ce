"""Files beside runs: who may write which, and that nothing written later changes what was registered."""

import os

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from tests.logged import log_booster, send

FILES = "/api/2.0/mlflow-artifacts/artifacts"


def place(uri):
    return uri.removeprefix("mlflow-artifacts:/")


def put(platform, path, token="ada", data=b"something else"):
    return send(platform, "PUT", f"{FILES}/{path}", token, content=data)


def get(platform, path):
    return send(platform, "GET", f"{FILES}/{path}").content


def assert_refused(answer, why):
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED"), answer.text
    assert why in answer.json()["message"]


def test_no_upload_changes_what_a_registered_version_loads(platform, ada_client, booster, name, bob):
    _, info = log_booster(booster, registered_model_name=name)
    logged = ada_client.get_logged_model(info.model_id)
    file = f"{place(logged.artifact_location)}/model.lgb"
    before = get(platform, file)
    assert_refused(put(platform, file), "is complete")
    assert_refused(put(platform, f"{place(logged.artifact_location)}/more.py"), "is complete")
    assert_refused(put(platform, file, bob), "belongs to ada")
    assert get(platform, file) == before
    stored = platform.home / "tracking" / "artifacts" / file
    os.chmod(stored, 0o600)
    stored.write_bytes(b"changed behind everybody's back")
    assert mlflow.lightgbm.load_model(f"models:/{name}/1").model_to_string() == booster.model_to_string()


def test_a_run_is_written_by_its_owner_alone_and_over_only_while_it_runs(platform, ada_client, bob):
    with mlflow.start_run() as run:
        mlflow.log_text("one", "notes.txt")
        mlflow.log_text("two", "notes.txt")
        root = place(run.info.artifact_uri)
        assert_refused(put(platform, f"{root}/notes.txt", bob), "belongs to ada")
        assert_refused(put(platform, f"{root}/code/numpy.py", bob), "belongs to ada")
    assert_refused(put(platform, f"{root}/notes.txt"), "there already")
    assert get(platform, f"{root}/notes.txt") == b"two"
    ada_client.log_text(run.info.run_id, "three", "later.txt")
    assert [item.path for item in ada_client.list_artifacts(run.info.run_id)] == ["later.txt", "notes.txt"]


def test_files_of_nobody_known_are_written_once(platform, ada_client):
    path = "0/traces/tr-1/artifacts/traces.json"
    assert put(platform, path, data=b"first").status_code == 200
    assert_refused(put(platform, path), "there already")
    assert get(platform, path) == b"first"


@pytest.mark.parametrize("claimed", ["user_id", "userId"])
def test_a_run_belongs_to_the_owner_of_the_token_whatever_it_claims(platform, ada_client, bob, claimed):
    made = send(
        platform, "POST", "/api/2.0/mlflow/runs/create", bob, json={"experiment_id": "0", claimed: "ada"}
    ).json()["run"]["info"]
    assert made["user_id"] == "bob"
    assert_refused(put(platform, f"{place(made['artifact_uri'])}/x"), "belongs to bob")


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc",
        "/etc",
        "s3://bucket/x",
        "mlflow-artifacts://elsewhere/0",
        "mlflow-artifacts:/0/../1",
        "http://x/y",
    ],
)
def test_an_experiment_keeps_its_artifacts_here(platform, ada_client, name, location):
    with pytest.raises(MlflowException, match="cannot be kept") as refused:
        ada_client.create_experiment(name, artifact_location=location)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    sent = {"name": name, "artifactLocation": location}
    assert send(platform, "POST", "/ajax-api/2.0/mlflow/experiments/create", json=sent).status_code == 400
    assert ada_client.get_experiment_by_name(name) is None
    made = ada_client.create_experiment(name, artifact_location=f"mlflow-artifacts:/{name}")
    assert ada_client.get_experiment(made).artifact_location == f"mlflow-artifacts:/{name}"


def test_an_experiment_laid_inside_anothers_run_does_not_write_there(platform, ada_client, booster, name, bob):
    with mlflow.start_run() as run:
        root = place(run.info.artifact_uri)
    sent = {"name": name, "artifact_location": f"mlflow-artifacts:/{root}"}
    inside = send(platform, "POST", "/api/2.0/mlflow/experiments/create", bob, json=sent).json()["experiment_id"]
    made = send(platform, "POST", "/api/2.0/mlflow/runs/create", bob, json={"experiment_id": inside}).json()
    assert_refused(put(platform, f"{place(made['run']['info']['artifact_uri'])}/x", bob), "belongs to ada")
