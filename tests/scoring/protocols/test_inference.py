"""What a client of the Open Inference Protocol V2 sees over HTTP: decisions on record, and errors in its form."""

import gzip
import json
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from rest_framework.test import APIClient

from registry import ledger
from scoring import admission, committing, decisions
from scoring.loop.groups import Taking
from scoring.models import Decision
from scoring.protocols import deciding
from tests import builders
from tests.scoring.protocols.conftest import token_of

INFER = "/v2/models/fraud/infer"
TYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES", "date": "BYTES"}


def columns(*places):
    """Inputs of rows of the stream, one tensor for each feature."""
    rows = [builders.features(place) for place in places]
    return [
        {
            "name": column.name,
            "datatype": TYPES[column.kind],
            "shape": [len(rows), 1],
            "data": [row[column.name] for row in rows],
        }
        for column in builders.trained().schema.columns
    ]


def outputs(answer):
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def refused(answer, status, *words):
    """An error in the protocol's form, and nothing on record for it."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert answer.headers["Content-Type"] == "application/json"
    for word in words:
        assert word in answer.json()["error"]


@pytest.fixture
def unchanged(story):
    before = Decision.objects.count()
    yield
    assert Decision.objects.count() == before


def test_a_row_is_decided_on_explained_and_on_record_as_by_our_own_api(server, ask, story):
    own = ask("/api/v1/models/fraud/score", json={"features": builders.features(3)}).json()
    answer = ask(INFER, json={"id": "oip-1", "inputs": columns(3)})
    said = outputs(answer)
    assert (answer.json()["id"], answer.json()["model_name"]) == ("oip-1", "fraud")
    assert answer.json()["model_version"] == str(story.champion.number)
    assert said["score"] == [own["score"]]
    assert (said["band"], said["action"], said["fallback"]) == ([own["band"]], [own["action"]], [""])
    assert json.loads(said["reasons"][0]) == own["reasons"]
    kept = decisions.by_id(said["decision_id"][0])
    assert (kept.score, kept.request_id) == (own["score"], "oip-1")
    assert decisions.inputs_of(kept)["features"] == builders.features(3)
    assert ledger.of([kept.id]).count() == 1


def test_the_same_id_is_the_same_decision_and_another_body_under_it_is_refused(ask):
    first, again = (outputs(ask(INFER, json={"id": "oip-2", "inputs": columns(1)})) for _ in range(2))
    assert first == again
    before = Decision.objects.count()
    refused(ask(INFER, json={"id": "oip-2", "inputs": columns(2)}), 422, "was used for other features")
    assert Decision.objects.count() == before


def test_several_rows_are_several_decisions_in_order_and_repeat_as_they_are(ask):
    before = Decision.objects.count()
    sent = {"id": "oip-3", "inputs": columns(4, 5, 6)}
    first, again = (outputs(ask(INFER, json=sent)) for _ in range(2))
    assert first == again
    assert Decision.objects.count() == before + 3
    for other in ((4, 5), (4, 5, 6, 7)):
        refused(ask(INFER, json={"id": "oip-3", "inputs": columns(*other)}), 422, "another number of rows")
    refused(ask(INFER, json={"id": "oip-3", "inputs": columns(4, 5, 7)}), 422, "row 2:", "other features")
    assert Decision.objects.count() == before + 3
    for place, score in zip((4, 5, 6), first["score"], strict=True):
        assert outputs(ask(INFER, json={"inputs": columns(place)}))["score"] == [score]


def test_one_bad_row_refuses_all_of_them(ask, unchanged):
    sent = columns(4, 5)
    next(item for item in sent if item["name"] == "channel")["data"][1] = "pigeon"
    refused(ask(INFER, json={"inputs": sent}), 422, "row 1: channel is not one of")


def test_binary_tensors_there_and_back(server, ask):
    sent, tail = [], b""
    for item in columns(7, 8):
        piece = packed(item["datatype"], item["data"])
        sent.append({k: v for k, v in item.items() if k != "data"} | {"parameters": {"binary_data_size": len(piece)}})
        tail += piece
    head = json.dumps({"inputs": sent, "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = ask(INFER, content=head + tail, headers=headers)
    assert answer.status_code == 200, answer.text
    cut = int(answer.headers["Inference-Header-Content-Length"])
    said, rest = json.loads(answer.content[:cut]), answer.content[cut:]
    assert [output["name"] for output in said["outputs"]][0] == "score"
    scores = np.frombuffer(rest[: said["outputs"][0]["parameters"]["binary_data_size"]], "<f8")
    assert scores.tolist() == outputs(ask(INFER, json={"inputs": columns(7, 8)}))["score"]
    assert sum(output["parameters"]["binary_data_size"] for output in said["outputs"]) == len(rest)


def packed(datatype, values):
    if datatype == "BYTES":
        return b"".join(len(v.encode()).to_bytes(4, "little") + v.encode() for v in values)
    kinds = {"FP64": "<f8", "INT64": "<i8", "BOOL": "?"}
    return np.array([np.nan if v is None else v for v in values], kinds[datatype]).tobytes()


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_bodies_are_compressed_both_ways(server, coding, pack):
    body = pack(json.dumps({"inputs": columns(*range(9))}).encode())
    headers = {"Content-Encoding": coding, "Accept-Encoding": coding}
    answer = server.client.post(INFER, content=body, headers=headers)
    assert len(outputs(answer)["score"]) == 9
    assert answer.headers["Content-Encoding"] == coding


def test_a_body_that_unpacks_without_end_is_not_unpacked(ask, unchanged):
    bomb = gzip.compress(b" " * 50_000_000)
    refused(ask(INFER, content=bomb, headers={"Content-Encoding": "gzip"}), 413, "once it is unpacked")


def test_only_the_outputs_asked_for_are_answered_in_that_order(ask):
    answer = ask(INFER, json={"inputs": columns(1), "outputs": [{"name": "band"}, {"name": "score"}]})
    assert list(outputs(answer)) == ["band", "score"]


def test_metadata_and_health(server, story):
    get = server.client.get
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/health/ready").json() == {"live": True, "ready": True}
    assert get("/v2").json() == get("/v2/").json()
    assert "binary_tensor_data" in get("/v2").json()["extensions"]
    assert get("/v2/models/fraud/ready").json() == {"name": "fraud", "ready": True}
    told = get("/v2/models/fraud").json()
    assert told == get(f"/v2/models/fraud/versions/{story.champion.number}").json()
    assert [item["name"] for item in told["inputs"]] == builders.trained().schema.names
    assert told["versions"] == [str(story.champion.number)]


def test_the_champion_is_asked_by_its_number_too(ask, story):
    assert outputs(ask(f"/v2/models/fraud/versions/{story.champion.number}/infer", json={"inputs": columns(1)}))


def test_a_version_that_is_not_the_champion_is_never_asked(ask, story, unchanged):
    other = builders.a_checked_version(story.ada, description="another")
    refused(
        ask(f"/v2/models/fraud/versions/{other.number}/infer", json={"inputs": columns(1)}), 409, "not its champion"
    )
    refused(ask("/v2/models/fraud/versions/99/infer", json={"inputs": columns(1)}), 404, "no version 99")
    refused(ask("/v2/models/fraud/versions/v1/infer", json={"inputs": columns(1)}), 404, "numbered")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("POST", "/v2/models", 404),
        ("GET", "/v2/models/nothing", 404),
        ("GET", "/v2/models/nothing/ready", 404),
        ("GET", INFER, 405),
        ("POST", "/v2/health/live", 405),
        ("DELETE", "/v2/models/fraud", 405),
        ("PUT", "/v2/models/fraud/versions/1/infer", 405),
    ],
)
def test_wrong_addresses_and_methods_are_errors_in_its_form(server, method, path, status):
    refused(server.client.request(method, path), status)


def test_strangers_and_tokens_without_the_right(server, story, unchanged):
    with httpx.Client(base_url=server.url, trust_env=False) as stranger:
        refused(stranger.post(INFER, json={"inputs": columns(1)}), 401)
        assert stranger.get("/v2/health/ready").status_code == 200
        reader = {"Authorization": f"Bearer {token_of(story.engine, 'registry.read')}"}
        refused(stranger.post(INFER, json={"inputs": columns(1)}, headers=reader), 403, "scoring.score")


MATRIX = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"[]", 400, "JSON object"),
        (b'{"inputs": 5}', 400, "list of tensors"),
        (b'{"inputs": [], "inputs": []}', 400, "comes twice"),
        (b'{"inputs": []}', 422, "no inputs"),
        (b'{"instances": []}', 400, "Send an object with `inputs`"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [Infinity]}]}', 400, "not JSON"),
        ({"inputs": [MATRIX]}, 422, "one tensor of shape [rows, "),
        ({"inputs": [MATRIX | {"shape": [1, -2]}]}, 400, "none below 0"),
        ({"inputs": [MATRIX | {"shape": [2**64]}]}, 400, "shape"),
        ({"inputs": [MATRIX | {"shape": [2**63, 2**63]}]}, 400, "values, not 2"),
        ({"inputs": [MATRIX | {"shape": [1] * 9}]}, 400, "1 to 8"),
        ({"inputs": [MATRIX | {"shape": [True, 2]}]}, 400, "whole numbers"),
        ({"inputs": [MATRIX | {"datatype": "BF16"}]}, 400, "datatype"),
        ({"inputs": [MATRIX | {"datatype": "BOOL"}]}, 400, "true and false"),
        ({"inputs": [MATRIX | {"datatype": "UINT8", "data": [1, 256]}]}, 400, "from 0 to 255"),
        ({"inputs": [MATRIX | {"datatype": "FP32", "data": [1, 1e39]}]}, 400, "beyond FP32"),
        ({"inputs": [MATRIX | {"data": [[1, 2, 3]]}]}, 400, "nested exactly"),
        ({"inputs": [MATRIX | {"data": [[[[[1, 2]]]]]}]}, 400, "nested exactly"),
        ({"inputs": [MATRIX | {"parameters": {"binary_data_size": 16}}]}, 400, "once"),
        ({"inputs": [MATRIX | {"parameters": {"shared_memory_region": "a"}}]}, 400, "shared memory"),
        ({"inputs": [MATRIX], "id": 5}, 400, "`id`"),
        ({"inputs": [MATRIX], "outputs": [{"name": "nothing"}]}, 422, "no output"),
        ({"inputs": [MATRIX], "outputs": {"name": "score"}}, 400, "list"),
        ({"inputs": [MATRIX], "parameters": []}, 400, "object"),
    ],
)
def test_a_body_that_cannot_be_read_says_why(ask, unchanged, body, status, words):
    refused(ask(INFER, content=body) if isinstance(body, bytes) else ask(INFER, json=body), status, words)


@pytest.mark.parametrize(
    ("size", "tail", "words"),
    [
        (16, b"\0" * 15, "more than were sent"),
        (16, b"\0" * 17, "belong to no input"),
        (15, b"\0" * 15, "no whole number of FP64"),
        (-1, b"", "number of bytes"),
    ],
)
def test_binary_data_of_a_wrong_size_is_refused(ask, unchanged, size, tail, words):
    item = {"name": "x", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [item]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    refused(ask(INFER, content=head + tail, headers=headers), 400, words)


@pytest.mark.parametrize("length", ["x", "-1", "9" * 11, "²"])
def test_a_header_length_that_is_none_is_refused(ask, unchanged, length):
    headers = {"Inference-Header-Content-Length": length.encode()}
    refused(ask(INFER, content=b"{}", headers=headers), 400, "Inference-Header-Content-Length")


def test_requests_of_several_rows_are_answered_in_a_thread_and_hold_up_no_other(server):
    """In the loop a request of several rows would be waited for by all others; this one is asked there only once."""
    sent = {"inputs": columns(*range(60))}
    before = Decision.objects.count()
    with ThreadPoolExecutor(4) as pool:
        many = [pool.submit(httpx.post, f"{server.url}{INFER}", json=sent, **of(server)) for _ in range(4)]
        ones = [outputs(server.client.post(INFER, json={"inputs": columns(1)})) for _ in range(20)]
    assert {len(outputs(one.result())["score"]) for one in many} == {60}
    assert len({said["score"][0] for said in ones}) == 1
    assert Decision.objects.count() == before + 4 * 60 + 20


def of(server):
    return {"headers": {"Authorization": f"Bearer {server.token}"}, "timeout": 90, "trust_env": False}


def test_a_body_beyond_the_limit_and_what_is_no_http_are_errors_that_its_clients_read(server, unchanged):
    refused(
        server.client.post(INFER, content=gzip.compress(b" " * 9_000_000), headers={"Content-Encoding": "gzip"}), 413
    )
    large = httpx.post(f"{server.url}{INFER}", content=b" " * 9_000_000, **of(server))
    assert (large.status_code, "at most" in large.json()["error"]) == (413, True)
    with socket.create_connection((server.url[7:].split(":")[0], int(server.url.rpartition(":")[2]))) as raw:
        raw.sendall(b"POST /v2/models/fraud/infer HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
        head, _, body = raw.makefile("rb").read().partition(b"\r\n\r\n")
    assert (b" 400 " in head, bool(json.loads(body)["error"])) == (True, True)


@pytest.mark.urls("scoring.serving_urls")
def test_a_row_without_a_score_has_its_band_and_no_number(people, issue_token):
    """In JSON null, in the binary form NaN; and the model says that it is not ready."""
    version = builders.a_champion(people)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.engine, 'scoring.score')}")
    with builders.changed_on_disk(version):
        answer = client.post(INFER, data=json.dumps({"inputs": columns(1)}), content_type="application/json").json()
        binary = {"inputs": columns(1), "outputs": [{"name": "score", "parameters": {"binary_data": True}}]}
        packed_ = client.post(INFER, data=json.dumps(binary), content_type="application/json")
        ready = client.get("/v2/models/fraud/ready")
        rows = {"inputs": [builders.features(1)]}
        mlflow = client.post("/models/fraud/invocations", data=json.dumps(rows), content_type="application/json")
    said = {output["name"]: output["data"][0] for output in answer["outputs"]}
    assert (said["score"], said["band"]) == (None, builders.BANDS[-1]["name"])
    assert "could not be verified" in said["fallback"]
    assert np.isnan(np.frombuffer(packed_.content[int(packed_["Inference-Header-Content-Length"]) :], "<f8")).all()
    assert (ready.status_code, ready.json()["ready"], ready.json()["error"]) == (503, False, said["fallback"])
    assert mlflow.json()["predictions"] == [None]


@pytest.mark.urls("scoring.serving_urls")
def test_while_nothing_is_decided_its_health_and_every_request_say_so(people, issue_token, monkeypatch):
    builders.a_champion(people)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {issue_token(people.engine, 'scoring.score')}")
    monkeypatch.setattr(admission, "_found", (time.monotonic() + 60, "The record was rolled back."))
    assert client.get("/v2/health/live").status_code == 200
    for path in ("/v2/health/ready", "/v2/models/fraud/ready", "/ping"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (503, "The record was rolled back."), path
    answer = client.post(INFER, data=json.dumps({"inputs": columns(1)}), content_type="application/json")
    assert (answer.status_code, answer.json(), answer["Retry-After"]) == (
        503,
        {"error": "The record was rolled back."},
        "1",
    )
    assert not Decision.objects.exists()


def test_several_rows_are_not_decided_on_where_others_would_wait(people):
    builders.a_champion(people)
    told = {"name": "fraud", "by": people.engine, "now": builders.now()}
    with committing.through(Taking(None)), pytest.raises(committing.Elsewhere):
        deciding.decide(rows=[builders.features(1), builders.features(2)], **told)
    assert not Decision.objects.exists()
    assert len(deciding.decide(rows=[builders.features(1), builders.features(2)], **told)) == 2
