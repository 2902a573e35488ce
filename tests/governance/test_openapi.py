"""The OpenAPI document is true: drawn from the endpoints as they are, and what they answer has the shapes it shows."""

import re
from functools import cache

import orjson
import pytest
import yaml
from django.urls import get_resolver
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

from governance.openapi import document
from governance.views import api_docs
from tests import builders
from tests.test_architecture import views


@cache
def kept():
    return yaml.safe_load(document.FILE.read_text())


def validator(shape):
    return Draft202012Validator({**shape, "components": kept()["components"]}, format_checker=FormatChecker())


def operations():
    for path, said in kept()["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in said:
                yield path, method, said[method]


def test_it_is_what_the_endpoints_say_today():
    assert document.text() == document.FILE.read_text(), "draw it up anew: manage.py describe_api"


def test_every_endpoint_of_both_processes_is_in_it():
    described = {re.sub(r"{\w+}", "*", path) for path in kept()["paths"]}
    for urls in ("governance.urls", "scoring.serving_urls"):
        for path, view in views(get_resolver(urls)):
            name = getattr(getattr(view, "cls", None), "__name__", "Nothing")
            if name != "Nothing" and "mlflow" not in path:
                plain = "/" + re.sub(r"<[^>]+>", "*", re.sub(r"^\^|/\?\$$|\$$", "", path))
                assert plain in described or f"{plain}/" in described, plain


def test_every_example_has_the_shape_it_is_an_example_of():
    for name, shape in kept()["components"]["schemas"].items():
        Draft202012Validator.check_schema(shape)
        for example in shape.get("examples", []):
            validator(shape).validate(example), name


def test_every_body_has_a_shape_and_every_operation_tells_how_it_refuses():
    for path, method, said in operations():
        assert said["responses"]["default"], (path, method)
        assert said["summary"], (path, method)
        assert said["description"], (path, method)
        for answer in said["responses"].values():
            assert all(content["schema"] for content in answer.get("content", {}).values())


def fits(client, method, path, status=200, urls="governance.urls", body=None, **names):
    """Ask for real, and hold the answer against the document."""
    address = path.format(**names)
    data = None if body is None else orjson.dumps(body)
    answer = getattr(client, method)(address, data=data, content_type="application/json")
    said = kept()["paths"][path][method]
    assert answer.status_code == status, answer.content
    told = said["responses"].get(str(status), said["responses"]["default"])["content"]
    media = answer["Content-Type"].partition(";")[0]
    validator(told[media]["schema"]).validate(orjson.loads(answer.content))
    return orjson.loads(answer.content)


@pytest.fixture
def program(ada, issue_token):
    scopes = ("registry.read", "registry.register_version", "registry.describe_model", "governance.request_approval")
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(ada, *scopes)}")


MODEL = "/api/v1/models/{name}"
VERSION = f"{MODEL}/versions/{{number}}"


def test_the_pages_side_answers_in_these_shapes(people, program):
    version = builders.a_champion(people)
    decision = builders.a_decision(people)
    fits(program, "get", "/api/v1/whoami")
    fits(program, "get", "/api/v1/models")
    (example,) = kept()["components"]["schemas"]["NewModel"]["examples"]
    fits(program, "post", "/api/v1/models", 201, body=example)
    fits(program, "post", "/api/v1/models", 409, body=example)
    fits(program, "post", "/api/v1/models", 422, body={})
    for path in (MODEL, f"{MODEL}/alerts", f"{MODEL}/cases", f"{MODEL}/monitor-runs", f"{MODEL}/inventory"):
        fits(program, "get", path, name="fraud")
    for path in (VERSION, f"{VERSION}/stage", f"{VERSION}/gate", f"{VERSION}/card", f"{VERSION}/lineage"):
        fits(program, "get", path, name="fraud", number=version.number)
    fits(program, "get", VERSION, 404, name="fraud", number=99)
    (move,) = kept()["components"]["schemas"]["AliasMove"]["examples"]
    fits(program, "put", f"{MODEL}/aliases/{{alias}}", body=move, name="fraud", alias="january")
    fits(program, "get", f"{MODEL}/aliases/{{alias}}", name="fraud", alias="january")
    prose = {"intended_use": "Payments of the web shop.", "limits": "No cards from abroad.", "reason": ""}
    prose.pop("reason")
    fits(program, "post", f"{VERSION}/card", 201, body=prose, name="fraud", number=version.number)
    fits(program, "get", "/api/v1/datasets")
    digest = version.training.digest
    for path in ("", "/statistics", "/preview", "/retention", "/lineage"):
        fits(program, "get", f"/api/v1/datasets/{{digest}}{path}", digest=digest)
    fits(program, "get", "/api/v1/policies/{tier}", tier=1)
    fits(program, "get", "/api/v1/standing")
    fits(program, "get", "/api/v1/observations")
    fits(program, "get", "/api/v1/webhooks")
    fits(program, "get", "/api/v1/decisions/{decision_id}", decision_id=decision.id)
    fits(program, "get", "/api/v1/decisions/{decision_id}/lineage", decision_id=decision.id)
    fits(APIClient(), "get", "/api/v1/models", 401)


@pytest.mark.urls("scoring.serving_urls")
def test_the_scoring_process_answers_in_these_shapes(people, engine, issue_token):
    builders.a_champion(people)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(engine, 'scoring.score', 'scoring.record_outcome')}")
    row = builders.features()
    made = fits(client, "post", f"{MODEL}/score", name="fraud", body={"features": row})
    fits(client, "post", f"{MODEL}/score", 422, name="fraud", body={"features": {}})
    fits(client, "post", f"{MODEL}/score:batch", name="fraud", body={"rows": [{"features": row}, {"features": row}]})
    (told,) = kept()["components"]["schemas"]["Outcomes"]["examples"]
    told = {"outcomes": [{**told["outcomes"][0], "decision": made["decision_id"], "observed_at": made["at"]}]}
    fits(client, "post", "/api/v1/outcomes", 201, body=told)
    matrix = {"inputs": [row], "client_request_id": "1"}
    fits(client, "post", "/models/{name}/invocations", name="fraud", body=matrix)
    fits(client, "post", "/models/{name}/invocations", 400, name="fraud", body={})
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/"):
        fits(client, "get", path)
    described = fits(client, "get", "/v2/models/{name}", name="fraud")
    fits(client, "get", "/v2/models/{name}/ready", name="fraud")
    tensors = [{**said, "shape": [1], "data": [row[said["name"]]]} for said in described["inputs"]]
    fits(client, "post", "/v2/models/{name}/infer", name="fraud", body={"id": "2", "inputs": tensors})
    fits(client, "post", "/v2/models/{name}/infer", 400, name="fraud", body={})


def test_the_document_and_its_page_are_served(client, db):
    served = client.get("/api/schema")
    assert b"".join(served.streaming_content) == document.FILE.read_bytes()
    page = client.get("/api/docs")
    assert page.status_code == 200
    for path, method, _ in operations():
        assert f"{method.upper()} {path.rstrip('/')}" in page.content.decode().replace("<wbr>", "")
    assert b"<script" not in page.content
    assert api_docs.FILE == document.FILE
