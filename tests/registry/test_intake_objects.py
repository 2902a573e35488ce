"""Object stores as sources: S3 over real HTTP; of Google's and Azure's only how they are named."""

import subprocess
import sys
import time

import boto3
import httpx
import pytest

from registry.intake import objects, sources
from registry.intake.files import Unresolved
from registry.refusals import Invalid, TooLarge, Unavailable
from tests import builders, running


@pytest.fixture(scope="module")
def endpoint():
    port = running.free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(480):
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
def access(monkeypatch):
    def told(endpoint, **more):
        settings = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "INTAKE_PLAIN_HTTP": "1",
        }
        for name, value in {**settings, **more}.items():
            monkeypatch.setenv(name, value)

    return told


@pytest.fixture
def bucket(endpoint, access):
    access(endpoint)
    store = boto3.resource("s3", endpoint_url=endpoint).Bucket("models")
    store.create()
    for path, data in builders.model_files().items():
        store.put_object(Key=f"fraud/1/{path}", Body=data)
    store.put_object(Key="fraud/10/other", Body=b"x")
    store.put_object(Key="fraud/1/", Body=b"")  # a folder, as consoles make them
    yield store
    store.objects.delete()
    store.delete()


def read(source):
    return {file.path: b"".join(file.pieces()) for file in sources.fetch(source).files}


@pytest.mark.parametrize("source", ["s3://models/fraud/1", "s3://models/fraud/1/", "s3a://models/fraud/1"])
def test_what_lies_under_a_prefix_is_taken_and_nothing_beside_it(bucket, source):
    assert read(source) == builders.model_files()


def test_an_object_says_whether_it_changed(bucket):
    marks = lambda: {file.path: file.mark for file in sources.fetch("s3://models/fraud/1").files}  # noqa: E731
    before = marks()
    bucket.put_object(Key="fraud/1/MLmodel", Body=b"changed")
    assert {path for path in before if before[path] != marks()[path]} == {"MLmodel"}


@pytest.mark.parametrize("source", ["s3://models/nothing", "s3://elsewhere/fraud/1"])
def test_what_is_not_there_is_unresolved(bucket, source):
    with pytest.raises(Unresolved):
        sources.fetch(source)


def test_names_and_sizes_are_held_to_the_limits(bucket, settings):
    settings.UPLOAD_LIMIT = 100
    with pytest.raises(TooLarge, match="100 bytes"):
        sources.fetch("s3://models/fraud/1")
    bucket.put_object(Key="odd/a//b", Body=b"x")
    with pytest.raises(Invalid, match="not accepted"):
        sources.fetch("s3://models/odd")


def test_a_store_that_is_away_is_told_from_one_without_the_files(access):
    access(f"http://127.0.0.1:{running.free_port()}")
    objects._PATIENCE, patience = {"max_retries": 0}, objects._PATIENCE
    try:
        with pytest.raises(Unavailable, match="does not answer"):
            sources.fetch("s3://models/fraud/1")
    finally:
        objects._PATIENCE = patience


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("gs://bucket/m", "GCSStore"),
        ("az://container/m", "AzureStore"),
        ("abfss://container@account.dfs.core.windows.net/m", "AzureStore"),
    ],
)
def test_the_other_clouds_are_named_as_their_users_do(monkeypatch, source, kind):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    sources.admit(source)
    assert type(objects._store(source)).__name__ == kind
