"""What programs get wrong: always a problem (RFC 9457) or MLflow's error, never a page, and nothing is changed."""

import io
import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from governance.wsgi import application
from registry import mlmodel, versions
from registry.models import Dataset, RegisteredModel
from registry.refusals import Invalid
from tests import builders

PROBLEM = "application/problem+json"


@pytest.fixture
def ada_token(ada, issue_token):
    return issue_token(ada, "registry.read", "registry.register_version", "governance.request_approval")


@pytest.fixture
def ada_client(ada_token):
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {ada_token}")


def parquet(name):
    sink = io.BytesIO()
    pq.write_table(pa.table({name: [1, 2]}), sink)
    return SimpleUploadedFile("a.parquet", sink.getvalue())


def test_a_data_set_with_a_name_that_cannot_be_kept_is_refused(ada_client):
    columns = json.dumps([{"name": "a\0b", "role": "feature"}])
    answer = ada_client.post("/api/v1/datasets", {"file": parquet("a\0b"), "name": "x", "columns": columns})
    assert (answer.status_code, answer["Content-Type"]) == (422, PROBLEM)
    assert "NUL character" in answer.json()["detail"]
    assert not Dataset.objects.exists()


def test_a_form_of_thousands_of_fields_is_refused(ada_client):
    answer = ada_client.post("/api/v1/datasets", {f"field{number}": "1" for number in range(1500)})
    assert (answer.status_code, answer["Content-Type"]) == (422, PROBLEM)


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/nothing", "/ajax-api/2.0/mlflow/runs/get"])
def test_a_foreign_host_is_refused_with_a_problem(ada_client, path):
    answer = ada_client.get(path, HTTP_HOST="evil.example")
    assert (answer.status_code, answer["Content-Type"]) == (422, PROBLEM)


def test_a_program_at_a_page_reads_a_problem_and_a_person_a_page(db):
    client = Client(enforce_csrf_checks=True)
    for answer in (client.post("/sign-in", headers={"Accept": "application/json"}), client.get("/api")):
        assert answer["Content-Type"] == PROBLEM
    refused = client.trace("/ledger", headers={"Accept": "application/json"})
    assert (refused.status_code, refused["Content-Type"], refused["Allow"]) == (405, PROBLEM, "GET, HEAD")
    assert client.post("/sign-in")["Content-Type"].startswith("text/html")


def test_a_tier_that_is_none_is_unknown_and_not_a_fault_of_the_moment(ada_client):
    assert ada_client.get("/api/v1/policies/4").status_code == 404
    assert ada_client.get("/api/v1/policies/1").status_code == 200


@pytest.mark.parametrize("name", [".", "..", " fraud", "fraud "])
def test_a_model_gets_no_name_that_an_address_cannot_hold(ada_client, name):
    assert ada_client.post("/api/v1/models", {"name": name}, format="json").status_code == 422
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize(
    "reasons", [[], "", {"amount": {"code": {}}}, {"amount": {"text": 5}}, {"amount": {"text": ""}}, {"amount": []}]
)
def test_a_reason_map_of_another_form_is_refused_also_when_it_is_empty(people, issue_token, reasons):
    version = builders.a_checked_version(people.ada)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.ada, 'governance.request_approval')}")
    body = {"bands": [{"name": "all", "from": 0}], "reason": "It is good.", "reasons": reasons}
    answer = client.post(f"/api/v1/models/fraud/versions/{version.number}/requests", body, format="json")
    assert (answer.status_code, "reason" in answer.json()["detail"]) == (422, True)
    assert not version.packages.exists()


def in_chunks(token, body):
    """Ask as gunicorn does when a body comes in chunks: its end is known, its length is not."""
    said = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/models",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "CONTENT_TYPE": "application/json",
    }
    answer = b"".join(application(environ, lambda status, headers: said.append(status)))
    return said[0][:3], json.loads(answer)


def test_a_body_in_chunks_is_read_like_any_other(committed, issue_token):
    ada_token = issue_token(committed.ada, "registry.register_version")
    status, answer = in_chunks(ada_token, b'{"name": "chunked"}')
    assert (status, answer["name"]) == ("201", "chunked")
    status, answer = in_chunks(ada_token, b'{"name": "' + b"x" * 2_000_000 + b'"}')
    assert (status, answer["title"]) == ("413", "Too large")
    assert RegisteredModel.objects.count() == 1


def described(document):
    return mlmodel.describe(document, ["MLmodel"], lambda path: b"")


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 3000 + b"]" * 3000,
        b"{a: " * 3000,
        b"signature: {inputs: '" + b"[" * 100_000 + b"'}",
        b"metadata: {countersign: {schema: [{name: 1, kind: number}]}}",
        b"metadata: {countersign: {schema: [{name: a, kind: number, nullable: {x: .nan}}]}}",
    ],
)
def test_an_mlmodel_file_of_a_mischievous_form_is_refused(document):
    with pytest.raises(Invalid):
        described(document)


def test_an_mlmodel_file_whose_aliases_multiply_is_read_in_a_moment():
    names = "abcdefghij"
    lines = [f"a: &a [{', '.join('x' * 9)}]"]
    lines += [
        f"{here}: &{here} [{', '.join([f'*{before}'] * 9)}]" for before, here in zip(names, names[1:], strict=False)
    ]
    began = time.monotonic()
    for end in ("run_id: *j", "flavors: {lightgbm: {data: *j}}"):
        found = described("\n".join([*lines, end]).encode())
        assert (found.run_id, found.file) == ("", "")
    with pytest.raises(Invalid):
        text = "\n".join([*lines, "metadata: {countersign: {schema: [{name: a, kind: *j}]}}"])
        described(text.encode())
    assert time.monotonic() - began < 5


def test_a_pattern_of_many_wildcards_is_answered_in_a_moment(ada, ada_client):
    versions.register_model(name="a" * 100, by=ada, now=builders.now())
    versions.register_model(name="odd(name_100%", by=ada, now=builders.now())

    def found(text):
        began = time.monotonic()
        answer = ada_client.get("/api/2.0/mlflow/registered-models/search", {"filter": text})
        assert time.monotonic() - began < 5
        return [model["name"] for model in answer.json()["registered_models"]]

    assert found(f"name LIKE '{'%' * 1000}x'") == []
    assert found(f"name ILIKE '{'%a' * 90}'") == ["a" * 100]
    assert found("name LIKE 'odd(%_100%'") == ["odd(name_100%"]
    assert found(r"name LIKE '%\'") == []
