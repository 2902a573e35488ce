"""A stock MLflow client in front of a running platform: what works as ever; what is refused, quickly and with why."""

import base64
import io
import json
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import lightgbm
import mlflow
import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.files.storage import storages
from django.utils import timezone
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from governance.demo.clients import until
from registry import artifacts
from registry import people as registry_people
from tests import builders, graphs
from tests.logged import LABELS, ROWS, log_booster, read, register


def send_dataset(platform):
    sink = io.BytesIO()
    ROWS.assign(fraud=LABELS, nonce=uuid.uuid4().hex).to_parquet(sink)
    columns = [{"name": column, "role": "feature"} for column in ROWS] + [{"name": "fraud", "role": "label"}]
    answer = httpx.post(
        f"{platform.url}/api/v1/datasets",
        headers={"Authorization": f"Bearer {platform.tokens['ada']}"},
        files={"file": ("data.parquet", sink.getvalue())},
        data={"name": "train", "columns": json.dumps(columns)},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["rows"] == 300
    return answer.json()["digest"]


def test_log_model_registers_a_booster_with_its_lineage_and_it_loads_back(platform, ada_client, booster, name):
    digest = send_dataset(platform)
    with mlflow.start_run() as run:
        mlflow.set_tags({"countersign.training": digest, "mlflow.source.git.commit": "0a" * 20})
        mlflow.log_params({"rounds": 8})
        mlflow.log_metrics({"auc": 0.91, "lift": float("nan")})
        mlflow.lightgbm.log_model(booster, name="model", input_example=ROWS.head(2), registered_model_name=name)

    found = ada_client.get_model_version(name, "1")
    assert (found.status, found.run_id, found.current_stage) == ("READY", run.info.run_id, "None")
    kept = read(platform, f"/api/v1/models/{name}/versions/1")
    assert kept["flavour"] == "lightgbm"
    assert kept["unservable"] == ""
    assert kept["data"] == {"training": digest}
    assert kept["metrics"] == {"auc": 0.91}
    assert kept["lineage"]["code_commit"] == "0a" * 20
    assert kept["lineage"]["parameters"]["rounds"] == "8"
    assert kept["lineage"]["run_id"] == run.info.run_id

    native = mlflow.lightgbm.load_model(f"models:/{name}/1")
    assert native.model_to_string() == booster.model_to_string()
    for address in (f"models:/{name}/1", f"models:/{name}/latest"):
        assert np.array_equal(mlflow.pyfunc.load_model(address).predict(ROWS), booster.predict(ROWS))
    assert mlflow.models.get_model_info(f"models:/{name}/1").run_id == run.info.run_id


def test_register_model_numbers_versions_and_finds_them(ada_client, booster, name):
    run, info = log_booster(booster)
    first = mlflow.register_model(f"runs:/{run.info.run_id}/model", name, tags={"team": "cards"})
    second = mlflow.register_model(info.model_uri, name)
    assert [first.version, second.version] == ["1", "2"]
    assert first.tags == {"team": "cards"}
    assert second.source == f"models:/{info.model_id}"

    search = ada_client.search_model_versions
    assert [v.version for v in search(f"name = '{name}'")] == ["2", "1"]
    assert [v.version for v in search(f"name LIKE '{name[:-1]}%' AND tags.team = 'cards'")] == ["1"]
    assert [v.version for v in search(f"name IN ('{name}') AND version_number > 1")] == ["2"]
    assert [v.version for v in search(f"run_id = '{run.info.run_id}'", order_by=["version_number ASC"])] == ["1", "2"]
    page = search(f"name = '{name}'", max_results=1)
    assert [v.version for v in search(f"name = '{name}'", max_results=1, page_token=page.token)] == ["1"]
    with pytest.raises(MlflowException, match="Invalid clause"):
        search("name = 'a' OR 1 = 1")


def test_a_model_is_created_with_purpose_and_exposure_and_found(platform, ada_client, booster, name):
    tags = {"countersign.purpose": "explores", "countersign.exposure": "low", "team": "cards"}
    made = ada_client.create_registered_model(name, tags=tags, description="cards")
    assert (made.name, made.tags, made.description) == (name, tags, "cards")
    assert read(platform, f"/api/v1/models/{name}")["tier"] == 3
    with pytest.raises(MlflowException) as refused:
        ada_client.create_registered_model(name)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"

    run, info = log_booster(booster)
    made = ada_client.create_model_version(
        name, info.model_uri, run_id=run.info.run_id, description="first", run_link="https://runs.example/1"
    )
    assert (made.description, made.run_link) == ("first", "https://runs.example/1")
    assert ada_client.get_registered_model(name).latest_versions[0].version == "1"
    assert [v.version for v in ada_client.get_latest_versions(name)] == ["1"]
    assert [m.name for m in ada_client.search_registered_models(f"name ILIKE '{name.upper()}'")] == [name]
    assert [m.name for m in ada_client.search_registered_models(f"name = '{name}' AND tag.team != 'cards'")] == []


def test_descriptions_are_written_anew(ada_client, booster, name):
    register(booster, name)
    assert ada_client.update_registered_model(name, "Cards in Europe.").description == "Cards in Europe."
    assert ada_client.update_model_version(name, "1", "The first.").description == "The first."
    found = ada_client.get_registered_model(name)
    assert (found.description, found.latest_versions[0].description) == ("Cards in Europe.", "The first.")
    assert found.last_updated_timestamp > found.creation_timestamp


def test_a_source_that_is_unknown_is_registered_unverified_and_one_that_lies_fails(ada_client, booster, name):
    register(booster, name)
    known = ada_client.get_model_version(name, "1")
    for source in ("models:/m-" + "0" * 32, "runs:/" + "0" * 32 + "/model"):
        number = ada_client.create_model_version(name, source).version
        found = ada_client.get_model_version(name, number)
        assert (found.status, found.source) == ("READY", source)
        assert found.status_message.startswith("Unverified, hence never checked, approved or served: ")
        assert ada_client.get_model_version_download_uri(name, number) == source
    with pytest.raises(MlflowException, match="tracking server knows"):
        ada_client.create_model_version(name, known.source, run_id="0" * 32)
    failed = ada_client.get_model_version(name, "4")
    assert (failed.status, failed.run_id) == ("FAILED_REGISTRATION", "0" * 32)
    with pytest.raises(MlflowException, match="no files to download"):
        ada_client.get_model_version_download_uri(name, "4")


def test_tags_and_aliases_come_and_go(ada_client, booster, name):
    register(booster, name)
    ada_client.set_registered_model_tag(name, "team", "cards")
    ada_client.set_model_version_tag(name, "1", "reviewed by", "gwen")
    ada_client.set_registered_model_alias(name, "candidate", "1")
    assert ada_client.get_registered_model(name).tags == {"team": "cards"}
    assert ada_client.get_registered_model(name).aliases == {"candidate": "1"}
    found = ada_client.get_model_version_by_alias(name, "candidate")
    assert (found.version, found.tags, found.aliases) == ("1", {"reviewed by": "gwen"}, ["candidate"])
    ada_client.delete_registered_model_tag(name, "team")
    ada_client.delete_model_version_tag(name, "1", "reviewed by")
    ada_client.delete_registered_model_alias(name, "candidate")
    assert ada_client.get_registered_model(name).tags == {}
    assert ada_client.get_model_version(name, "1").tags == {}
    with pytest.raises(MlflowException) as refused:
        ada_client.get_model_version_by_alias(name, "candidate")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_scikit_learn_model_is_loaded_by_alias(ada_client, name):
    model = LogisticRegression().fit(ROWS, LABELS)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="model",
            input_example=ROWS.head(2),
            serialization_format="skops",
            registered_model_name=name,
        )
    ada_client.set_registered_model_alias(name, "candidate", "1")
    loaded = mlflow.sklearn.load_model(f"models:/{name}@candidate")
    assert np.array_equal(loaded.predict_proba(ROWS), model.predict_proba(ROWS))


def test_an_onnx_graph_is_a_version_that_can_be_served(platform, ada_client, name):
    with mlflow.start_run():
        mlflow.onnx.log_model(
            onnx.load_from_string(graphs.logistic(features=3)),
            name="model",
            signature=infer_signature(ROWS, LABELS),
            registered_model_name=name,
        )
    kept = read(platform, f"/api/v1/models/{name}/versions/1")
    assert (kept["flavour"], kept["unservable"]) == ("onnx", "")
    assert [column["name"] for column in kept["schema"]] == list(ROWS)


@pytest.mark.parametrize("elsewhere", ["sqlite:///{}/other.db", "https://tracking.example"])
def test_with_only_the_registry_here_the_registered_bytes_are_downloaded(
    platform, ada_client, booster, name, tmp_path, elsewhere
):
    register(booster, name)
    mlflow.set_tracking_uri(elsewhere.format(tmp_path))
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1", dst_path=str(tmp_path)))
    assert lightgbm.Booster(model_file=folder / "model.lgb").model_to_string() == booster.model_to_string()
    assert ada_client.get_model_version_download_uri(name, "1").startswith(f"{platform.url}/api/2.0/mlflow-artifacts/")


def test_with_a_stock_tracking_server_of_ones_own_the_registry_is_here(
    platform, ada_client, booster, name, stock_tracking
):
    mlflow.set_tracking_uri(stock_tracking)
    client = mlflow.MlflowClient()
    run, info = log_booster(booster, registered_model_name=name)
    assert client.get_run(run.info.run_id).info.status == "FINISHED"
    mlflow.register_model(f"runs:/{run.info.run_id}/model", name)
    found = [client.get_model_version(name, number) for number in ("1", "2")]
    assert [version.source for version in found] == [f"models:/{info.model_id}"] * 2
    assert all("Unverified" in version.status_message for version in found), "this platform's tracking knows of none"
    assert mlflow.lightgbm.load_model(f"models:/{name}/1").model_to_string() == booster.model_to_string()
    client.set_registered_model_alias(name, "candidate", "2")
    assert np.array_equal(mlflow.pyfunc.load_model(f"models:/{name}@candidate").predict(ROWS), booster.predict(ROWS))
    stage = read(platform, f"/api/v1/models/{name}/versions/1")
    assert stage["status"] == "READY"


def test_a_signature_by_the_stock_tool_covers_what_is_registered(platform, ada_client, booster, name, tmp_path):
    model, key = tmp_path / "model", ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    mlflow.lightgbm.save_model(booster, str(model), input_example=ROWS.head(2))
    tool = [sys.executable, "-m", "model_signing", "sign", "key", str(model), "--signature", str(model / "model.sig")]
    subprocess.run([*tool, "--private_key", str(tmp_path / "key.pem")], check=True)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(model), "model")
    mlflow.register_model(f"runs:/{run.info.run_id}/model", name)

    artifact = read(platform, f"/api/v1/models/{name}/versions/1")["artifact"]
    bundle = json.loads((model / "model.sig").read_text())
    said = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]["resources"]
    kept = {path: entry["sha256"] for path, entry in artifact.items() if path != "model.sig"}
    assert kept == {resource["name"]: resource["digest"] for resource in said}
    checks = lambda: read(platform, f"/api/v1/models/{name}/versions/1/stage")["checks"]  # noqa: E731
    numbers = until("the signature is examined", lambda: checks().get("signing"))["measurements"]
    assert {item["name"]: item["value"] for item in numbers} == {
        "signature_present": 1,
        "signature_valid": 0,  # the policy in force names nobody
        "signature_wrong": 0,
    }


def test_artifacts_of_a_run_pass_in_both_directions(ada_client, tmp_path):
    big = np.random.default_rng(1).bytes(9_000_000)
    (tmp_path / "up" / "deep").mkdir(parents=True)
    (tmp_path / "up" / "deep" / "big 100%.bin").write_bytes(big)
    (tmp_path / "up" / "empty").write_bytes(b"")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "up"), "files")
    down = Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/files", dst_path=str(tmp_path / "down")))
    assert (down / "deep" / "big 100%.bin").read_bytes() == big
    assert (down / "empty").read_bytes() == b""


REFUSED = {
    "delete a model": (lambda c, n: c.delete_registered_model(n), "PERMISSION_DENIED", "never deleted"),
    "delete a version": (lambda c, n: c.delete_model_version(n, "1"), "PERMISSION_DENIED", "never deleted"),
    "rename": (lambda c, n: c.rename_registered_model(n, n + "2"), "PERMISSION_DENIED", "keeps its name"),
    "set a stage": (
        lambda c, n: c.transition_model_version_stage(n, "1", "Production"),
        "INVALID_STATE",
        "approved and promoted",
    ),
    "set @champion": (lambda c, n: c.set_registered_model_alias(n, "champion", "1"), "INVALID_STATE", "approval"),
    "set @Champion": (lambda c, n: c.set_registered_model_alias(n, "Champion", "1"), "INVALID_STATE", "approval"),
    "delete @champion": (lambda c, n: c.delete_registered_model_alias(n, "champion"), "INVALID_STATE", "approval"),
    "get @champion": (lambda c, n: c.get_model_version_by_alias(n, "champion"), "INVALID_PARAMETER_VALUE", "deployed"),
    "change lineage": (
        lambda c, n: c.set_model_version_tag(n, "1", "countersign.training", "x"),
        "INVALID_STATE",
        "fixed at registration",
    ),
    "change a version's source": (
        lambda c, n: c.set_model_version_tag(n, "1", "countersign.source", "s3://elsewhere"),
        "INVALID_STATE",
        "fixed at registration",
    ),
    "make a prompt of it": (
        lambda c, n: c.set_registered_model_tag(n, "mlflow.prompt.is_prompt", "true"),
        "INVALID_PARAMETER_VALUE",
        "only models",
    ),
    "set @latest": (lambda c, n: c.set_registered_model_alias(n, "latest", "1"), "INVALID_PARAMETER_VALUE", "latest"),
    "alias to no version": (
        lambda c, n: c.set_registered_model_alias(n, "next", "9"),
        "RESOURCE_DOES_NOT_EXIST",
        "no version 9",
    ),
    "unknown model": (
        lambda c, n: c.get_registered_model(n + "2"),
        "RESOURCE_DOES_NOT_EXIST",
        "Registered Model with name=.* not found",
    ),
    "unknown version": (
        lambda c, n: c.get_model_version(n, "2"),
        "RESOURCE_DOES_NOT_EXIST",
        "Model Version .* not found. .* has no version 2",
    ),
    "version by word": (lambda c, n: c.get_model_version(n, "two"), "INVALID_PARAMETER_VALUE", "must be an integer"),
    "a local path": (
        lambda c, n: c.create_model_version(n, "file:///etc"),
        "INVALID_PARAMETER_VALUE",
        "cannot be taken",
    ),
    "another's folder": (
        lambda c, n: c.create_model_version(n, "mlflow-artifacts:/0/../1"),
        "INVALID_PARAMETER_VALUE",
        "cannot be taken",
    ),
    "an unknown data set": (
        lambda c, n: c.create_model_version(
            n, c.get_model_version(n, "1").source, tags={"countersign.holdout": "f" * 64}
        ),
        "INVALID_PARAMETER_VALUE",
        "countersign.holdout",
    ),
    "delete a run": (
        lambda c, n: c.delete_run(c.get_model_version(n, "1").run_id),
        "PERMISSION_DENIED",
        "not deleted",
    ),
    "delete a logged model": (
        lambda c, n: c.delete_logged_model(c.get_model_version(n, "1").source.removeprefix("models:/")),
        "PERMISSION_DENIED",
        "not deleted",
    ),
}


@pytest.fixture(scope="module")
def registered():
    return f"fraud-{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("attempt", REFUSED)
def test_refusals_say_why_and_change_nothing(platform, ada_client, booster, registered, attempt):
    if not ada_client.search_registered_models(f"name = '{registered}'"):
        register(booster, registered)
    before = read(platform, f"/api/v1/models/{registered}")
    act, code, why = REFUSED[attempt]
    started = timezone.now()
    with pytest.raises(MlflowException, match=why) as refused:
        act(ada_client, registered)
    assert refused.value.error_code == code
    assert (timezone.now() - started).total_seconds() < 5, "the client took the refusal for a passing trouble"
    assert read(platform, f"/api/v1/models/{registered}") == before


def test_what_cannot_be_pinned_is_kept_with_the_reason(platform, ada_client, booster, name):
    _, info = log_booster(booster, registered_model_name=name)
    unknown = ada_client.create_model_version(name, "models:/m-" + "0" * 32, await_creation_for=None)
    assert unknown.status in ("PENDING_REGISTRATION", "READY")  # the server waits for a moment before it answers
    until("it has ended", lambda: ada_client.get_model_version(name, "2").status == "READY")
    assert "Unverified, hence never checked" in ada_client.get_model_version(name, "2").status_message
    assert ada_client.get_model_version_download_uri(name, "2") == unknown.source
    with pytest.raises(MlflowException, match="the tracking server knows"):
        mlflow.MlflowClient().create_model_version(name, info.model_uri, run_id="0" * 32, await_creation_for=30)
    assert ada_client.get_model_version(name, "3").status == "FAILED_REGISTRATION"
    asked = {"reason": "It finds more.", "bands": []}
    answer = httpx.post(
        f"{platform.url}/api/v1/models/{name}/versions/2/requests",
        headers={"Authorization": f"Bearer {platform.tokens['ada']}"},
        json=asked,
    )
    assert (answer.status_code, "Unverified" in answer.text) == (409, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/0/x", 403),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/countersign/x", 403),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/%2e%2e/x", 400),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/%252e%252e/x", 400),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/%5c..%5cx", 400),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=0/..", 400),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/countersign/%2e%2e/x", 400),
        ("GET", "/api/2.0/mlflow//runs/get", 400),
        ("GET", "/api/2.0/mlflow/artifacts/list?run_id=x", 404),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create", 404),
        ("POST", "/ajax-api/2.0/mlflow/registered-models/create", 415),
        ("POST", "/ajax-api/2.0/mlflow/runs/delete", 403),
        ("POST", "/api/2.0/mlflow/model-versions/delete", 403),
    ],
)
def test_the_front_lets_nothing_else_through(platform, method, path, status):
    answer = httpx.request(
        method, platform.url + path, headers={"Authorization": f"Bearer {platform.tokens['ada']}"}, content=b"{}"
    )
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error_code", "message"}


def test_an_unknown_token_is_refused_at_once(platform, ada_client, name, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "csn_never_issued")
    for attempt in (
        lambda: ada_client.create_registered_model(name),
        lambda: ada_client.create_experiment(name),
        lambda: ada_client.search_registered_models(),
    ):
        with pytest.raises(MlflowException, match="never issued") as refused:
            attempt()
        assert refused.value.error_code == "UNAUTHENTICATED"


def test_an_expired_token_and_one_of_too_little_scope_are_refused(client, ada, issue_token):
    past = timezone.now() - timedelta(days=3)
    _, expired = registry_people.issue_token(owner=ada, name="old", scopes=["registry.read"], days=1, by=ada, now=past)
    search, create = "/api/2.0/mlflow/registered-models/search", "/api/2.0/mlflow/runs/create"
    answer = client.get(search, headers={"Authorization": f"Bearer {expired}"})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert "expired at" in answer.json()["message"]
    reads = {"Authorization": f"Bearer {issue_token(ada, 'registry.read')}"}
    assert client.get(search, headers=reads).status_code == 200
    answer = client.post(create, "{}", content_type="application/json", headers=reads)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_changed_file_is_never_given_out(client, ada, issue_token):
    version = builders.a_version(ada, data=False)
    reads = {"Authorization": f"Bearer {issue_token(ada, 'registry.read')}"}
    asked = {"name": version.model.name, "version": "1"}
    uri = client.get("/api/2.0/mlflow/model-versions/get-download-uri", asked, headers=reads).json()["artifact_uri"]
    path = f"{urlsplit(uri).path}/MLmodel"
    assert client.get(path, headers=reads).content == builders.model_files()["MLmodel"]
    digest = version.artifact["MLmodel"]["sha256"]
    kept = Path(storages["artifacts"].path(f"{digest[:2]}/{digest[2:4]}/{digest}"))
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes() + b"#")
    try:
        answer = client.get(path, headers=reads)
    finally:
        artifacts.put(builders.model_files()["MLmodel"])
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DATA_LOSS")
    assert client.get(path, headers=reads).status_code == 200


def test_a_tracking_server_that_is_down_is_said_to_be_down(client, ada, issue_token, settings, tmp_path):
    settings.TRACKING_SOCKET = str(tmp_path / "nobody.sock")
    reads = {"Authorization": f"Bearer {issue_token(ada, 'registry.read')}"}
    answer = client.get("/api/2.0/mlflow/experiments/search", headers=reads)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "1"
