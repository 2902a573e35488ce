"""A stock mlflow server whose registry is ours: clients know its address alone, and we are the authority."""

import os
import subprocess
import sys
import time
import tomllib
import uuid
from contextlib import suppress

import httpx
import mlflow
import pytest
from mlflow.exceptions import MlflowException

from tests import running


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What installing this project tells Python about it: the entry points of pyproject.toml."""
    folder = tmp_path_factory.mktemp("site") / "countersign-0.1.0.dist-info"
    folder.mkdir()
    project = tomllib.loads((running.ROOT / "pyproject.toml").read_text())["project"]
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: countersign\nVersion: 0.1.0\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {where}" for name, where in points.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    return folder.parent


@pytest.fixture(scope="module")
def server(platform, installed, tmp_path_factory):
    """A stock mlflow server, whose own token is the engine's, which may only read."""
    folder, port = tmp_path_factory.mktemp("mlflow"), running.free_port()
    options = {
        "backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "registry-store-uri": f"countersign+{platform.url}",
        "artifacts-destination": str(folder / "artifacts"),
        "host": "127.0.0.1",
        "port": str(port),
        "workers": "1",
    }
    argv = [word for name, value in options.items() for word in (f"--{name}", value)]
    told = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    told |= {"PYTHONPATH": f"{installed}{os.pathsep}{running.ROOT}", "COUNTERSIGN_TOKEN": platform.tokens["engine"]}
    told |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    told["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *argv], cwd=folder, env=told, stdout=log, stderr=log
    )
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + running.PATIENCE
    try:
        while time.monotonic() < end and process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            time.sleep(0.3)
        else:
            raise RuntimeError((folder / "log").read_text()[-2000:])
        yield url
    finally:
        process.terminate()
        process.wait(60)
        log.close()
        print((folder / "log").read_text()[-3000:])


@pytest.fixture
def client(platform, server, monkeypatch):
    """Ada's client, who knows no address but that server's."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", platform.tokens["ada"])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    return mlflow.MlflowClient(server, server)


def ask(platform, path):
    return httpx.get(f"{platform.url}{path}", headers={"Authorization": f"Bearer {platform.tokens['ada']}"})


def test_what_is_registered_there_is_registered_here_by_who_called(platform, client):
    name = f"passed-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name, description="Through another server", tags={"team": "cards"})
    found = ask(platform, f"/api/v1/models/{name}").json()
    assert (found["owner"], found["description"], found["tags"]) == ("ada", "Through another server", {"team": "cards"})
    assert client.get_registered_model(name).tags == {"team": "cards"}
    assert [model.name for model in client.search_registered_models(f"name = '{name}'")] == [name]
    made = client.create_model_version(name, "s3://elsewhere/model", tags={"stage": "first"}, description="One")
    client.set_registered_model_alias(name, "candidate", made.version)
    found = client.get_model_version_by_alias(name, "candidate")
    assert (found.version, found.tags, found.description, found.user_id) == ("1", {"stage": "first"}, "One", "ada")
    client.set_model_version_tag(name, "1", "stage", "second")
    assert [version.tags for version in client.search_model_versions(f"name = '{name}'")] == [{"stage": "second"}]


@pytest.mark.parametrize("call", ["delete", "rename", "champion"])
def test_our_refusals_come_through_at_once_in_our_words(platform, client, call):
    name = f"kept-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name)
    tried = {
        "delete": (lambda: client.delete_registered_model(name), "never deleted", 403),
        "rename": (lambda: client.rename_registered_model(name, "other"), "keeps its name", 403),
        "champion": (lambda: client.set_registered_model_alias(name, "champion", "1"), "", 404),
    }
    act, words, status = tried[call]
    began = time.monotonic()
    with pytest.raises(MlflowException, match=words) as refused:
        act()
    assert refused.value.get_http_status_code() == status
    assert time.monotonic() - began < 5
    assert client.get_registered_model(name).aliases == {}


def test_a_final_refusal_is_no_fault_of_a_server_that_clients_repeat(platform, server):
    name = f"kept-{uuid.uuid4().hex[:8]}"
    bearer = {"Authorization": f"Bearer {platform.tokens['ada']}"}
    path = f"{server}/api/2.0/mlflow/registered-models/"
    assert httpx.post(f"{path}create", json={"name": name}, headers=bearer).status_code == 200
    answer = httpx.post(
        f"{path}set-tag", json={"name": name, "key": "countersign.exposure", "value": "low"}, headers=bearer
    )
    assert (answer.status_code, answer.json()["error_code"]) == (409, "INVALID_STATE")
    assert "was fixed at registration" in answer.json()["message"]


def test_who_sends_no_token_of_ours_is_that_servers_own_account_which_may_only_read(server):
    path = f"{server}/api/2.0/mlflow/registered-models/"
    assert httpx.get(f"{path}search").status_code == 200
    for headers in ({}, {"Authorization": "Basic YWRhOnNlY3JldA=="}, {"Authorization": "Bearer of-another-server"}):
        answer = httpx.post(f"{path}create", json={"name": "anybody"}, headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_token_of_ours_that_is_not_valid_is_not_replaced_by_the_servers(server):
    headers = {"Authorization": "Bearer csn_never-issued"}
    answer = httpx.get(f"{server}/api/2.0/mlflow/registered-models/search", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
