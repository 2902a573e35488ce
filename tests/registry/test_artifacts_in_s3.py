"""Artifacts in an S3-compatible store: the same promises as in a folder, over real HTTP."""

import runpy
import subprocess
import sys
import time
from pathlib import Path

import boto3
import httpx
import pytest
from django.core.files.storage import storages

from registry import artifacts
from registry.refusals import Mismatch, Unavailable
from scoring import serving
from scoring.models import RefusedLoad
from tests import builders, running


@pytest.fixture(scope="module")
def endpoint():
    """A server that speaks S3, until the last story here is told."""
    port = running.free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                httpx.get(address)
                break
            except httpx.TransportError:
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def bucket(endpoint, settings, monkeypatch):
    """An empty bucket, and the project's own settings told of it as an operator tells them: by the environment."""
    told = {
        "ARTIFACTS": "s3://artifacts/fraud/prod",
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    store = boto3.resource("s3").Bucket("artifacts")
    store.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    written = runpy.run_path(str(running.ROOT / "governance" / "settings.py"))["STORAGES"]
    settings.STORAGES = {**settings.STORAGES, "artifacts": written["artifacts"]}
    yield store
    store.objects.delete()
    store.delete()


def test_bytes_are_kept_once_under_their_digest_and_the_prefix(bucket):
    digest = artifacts.put(b"a model")
    assert artifacts.put(b"a model") == digest
    assert artifacts.get(digest) == b"a model"
    assert [item.key for item in bucket.objects.all()] == [f"fraud/prod/{digest[:2]}/{digest[2:4]}/{digest}"]


def test_bytes_in_pieces_come_back_as_a_file(bucket):
    digest = artifacts.receive(bytes([place]) * 1024 * 1024 for place in range(20))[0]
    with artifacts.opened(digest) as file:
        file.seek(-1, 2)
        assert file.read() == b"\x13"
    next(iter(bucket.objects.all())).put(Body=b"another")
    with pytest.raises(Mismatch, match="were changed"), artifacts.opened(digest):
        pytest.fail("it was opened")


def test_a_swapped_object_is_found_out_and_a_lost_one_is_named(bucket):
    digest = artifacts.put(b"a model")
    kept = next(iter(bucket.objects.all()))
    kept.put(Body=b"another model")
    with pytest.raises(Mismatch, match="changed after they were registered"):
        artifacts.get(digest)
    assert artifacts.put(b"a model") == digest, "registering the true bytes again mends the store"
    assert artifacts.get(digest) == b"a model"
    kept.delete()
    with pytest.raises(Mismatch, match="not in the store"):
        artifacts.get(digest)


def test_a_champion_scores_from_the_bucket_and_nothing_is_left_in_a_folder(bucket, people):
    version = builders.a_champion(people)
    decision = builders.a_decision(people)
    assert decision.deployment.package.version == version
    stored = {Path(item.key).name for item in bucket.objects.all()}
    assert {entry["sha256"] for entry in version.artifact.values()} <= stored
    assert storages["artifacts"].bucket_name == "artifacts"

    model = version.artifact[version.lineage["model_file"]]["sha256"]
    bucket.Object(f"fraud/prod/{model[:2]}/{model[2:4]}/{model}").put(Body=b"another model")
    builders.forget_serving()
    assert serving.champion("fraud", now=builders.now()).runtime is None
    assert "changed after they were registered" in RefusedLoad.objects.get().reason


def test_a_store_out_of_reach_is_not_taken_for_wrong_bytes(bucket, settings, monkeypatch):
    digest = artifacts.put(b"a model")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{running.free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    settings.STORAGES = {**settings.STORAGES}
    for attempt in (lambda: artifacts.get(digest), lambda: artifacts.put(b"another model")):
        with pytest.raises(Unavailable, match="artifact store fails .EndpointConnectionError"):
            attempt()
