"""What scoring answers over real sockets: the same with the loop of its own and with gunicorn's threads."""

import json
import socket
from pathlib import Path

import pytest
from django.conf import settings

from governance.platform.processes import LOOP, THREADS
from scoring.models import Decision
from tests import builders
from tests.installations import until
from tests.scoring import listening
from tests.scoring.listening import PATH, row

pytestmark = pytest.mark.usefixtures("record")


@pytest.fixture(scope="module", params=[LOOP, THREADS])
def server(token, request):
    options = ("--access-logfile", str(Path(settings.HOME) / f"access-{request.param}.log"))
    with listening.serving(token, *options, worker=request.param) as started:
        yield started


@pytest.fixture
def client(server):
    with server.connected() as connected:
        yield connected


def is_on_record(answer):
    return Decision.objects.filter(pk=answer.json()["decision_id"]).exists()


def chunked(data, size=7):
    parts = [data[place : place + size] for place in range(0, len(data), size)]
    return b"".join(b"%x;note=1\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def test_answers_on_one_connection_are_on_record_when_they_are_there(client):
    for place in range(3):
        answer = client.post(row(place))
        assert answer.status == 200, answer.body
        assert is_on_record(answer)
        assert answer.headers["connection"] == "keep-alive"


def test_a_body_in_chunks_is_the_same_request(client):
    data = json.dumps(row()).encode()
    client.send(client.head(None, more="Transfer-Encoding: chunked\r\n") + chunked(data))
    first = client.answer()
    assert (first.status, is_on_record(first)) == (200, True)
    client.send(client.head(None, more="Transfer-Encoding: chunked\r\n") + chunked(data)[:-2] + b"Sum: 5\r\n\r\n")
    assert client.answer().json()["score"] == client.post(row()).json()["score"] == first.json()["score"]


def test_who_asks_whether_to_go_on_is_told_so(client):
    data = json.dumps(row()).encode()
    client.send(client.head(len(data), more="Expect: 100-continue\r\n"))
    assert client.answer().status == 100
    client.send(data)
    assert client.answer().status == 200


def test_pipelined_requests_are_answered_in_their_order(client, request):
    if request.node.callspec.params["server"] == THREADS:
        pytest.skip("gunicorn's threads forget a request that came with another until more comes")
    bodies = [json.dumps(row(place)).encode() for place in range(4)]
    alone = [client.post(body).json()["score"] for body in bodies]
    client.send(b"".join(client.head(len(body)) + body for body in bodies))
    assert [client.answer().json()["score"] for _ in bodies] == alone


def test_other_requests_are_answered_too(client):
    made = client.post(row()).json()
    seen = client.get(f"/api/v1/decisions/{made['decision_id']}")
    assert (seen.status, seen.json()["score"]) == (200, made["score"])
    head = client.get("/ready", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert client.get("/ready").json() == {"status": "ok"}
    missing = client.get("/nowhere")
    assert (missing.status, missing.headers["content-type"]) == (404, "application/problem+json")
    assert client.post(b"{not json").status == 422


def test_http_1_0_ends_the_connection_unless_asked_to_stay(server, request):
    with server.connected() as client:
        client.send(client.head(None, path="/ready", method="GET").replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.is_hung_up()
    if request.node.callspec.params["server"] == THREADS:
        return  # which end the connection, since they do not know the length of an answer
    with server.connected() as client:
        asked = client.head(None, path="/ready", method="GET", more="Connection: keep-alive\r\n")
        client.send(asked.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert client.answer().headers["connection"] == "keep-alive"
        assert client.get("/ready").status == 200


def test_who_asks_for_the_end_of_the_connection_gets_it(server):
    with server.connected() as client:
        assert client.post(row(), more="Connection: close\r\n").headers["connection"] == "close"
        assert client.is_hung_up()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * 9000), 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA b: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n%s\r\n" % b"".join(b"H%d: x\r\n" % place for place in range(101)), 431),
        (b"GET / HTTP/1.1\r\nH: %s\r\n\r\n" % (b"x" * 9000), 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nExpect: coffee\r\n\r\n", 417),
    ],
)
def test_what_is_not_http_is_answered_with_a_problem_and_the_end(server, head, status):
    if status == 200:  # a name that could be taken for another is left out, as gunicorn does: the request stands
        with server.connected() as client:
            client.send(head.replace(b"POST / HTTP/1.1", b"POST /ready HTTP/1.1\r\nHost: localhost"))
            assert client.answer().status == 200
        return
    with server.connected() as client:
        client.send(head)
        answer = client.answer()
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.headers["connection"] == "close"
        assert answer.json()["detail"]
        assert client.is_hung_up()


def test_a_client_that_is_gone_before_its_answer_leaves_its_decision_on_record(server):
    before = Decision.objects.count()
    data = json.dumps({**row(), "request_id": f"gone-{server.process.pid}"}).encode()
    with server.connected() as client:
        client.send(client.head(len(data)) + data)
    until(lambda: Decision.objects.count() == before + 1, "the decision is on record", 10)
    with server.connected() as client:
        assert is_on_record(client.post(data))
    assert Decision.objects.count() == before + 1


def test_a_client_that_sends_no_more_still_gets_its_answer(server):
    data = json.dumps(row()).encode()
    with server.connected() as client:
        client.send(client.head(len(data)) + data)
        client.sock.shutdown(1)
        assert client.answer().status == 200
        assert client.is_hung_up()


def test_the_same_request_id_again_is_the_same_answer_to_the_byte(client):
    told = {**row(), "request_id": f"again-{id(client)}"}
    first, second = client.post(told), client.post(told)
    assert (first.status, first.body) == (200, second.body)
    other = client.post({**told, "features": builders.features(1)})
    assert (other.status, "other features" in other.json()["detail"]) == (422, True)


def test_each_request_is_a_line_of_the_access_log(server, client, request):
    client.post(row(), more="User-Agent: engine/1\r\n")
    client.get("/ready")
    path = next(Path(settings.HOME).glob(f"access-{request.node.callspec.params['server']}.log"))
    until(lambda: '"GET /ready HTTP/1.1" 200 16' in path.read_text(), "the line is there", 10)
    assert f'"POST {PATH} HTTP/1.1" 200 ' in path.read_text()
    assert "engine/1" in path.read_text()


def test_many_rows_do_not_hold_up_one_row(server):
    """Neither by the address for many, nor by one for one that is asked for many."""
    rows = {"rows": [row(place) for place in range(200)] * 5}
    with server.connected() as many, server.connected() as one:
        assert one.post(row()).status == 200
        data = json.dumps(rows).encode()
        many.send(many.head(len(data), path=f"{PATH}:batch") + data)
        many.sock.setblocking(False)
        alone = 0
        while not _has_come(many):
            assert one.post(row()).status == 200
            alone += 1
        many.sock.settimeout(30)
        answer = many.answer()
    assert (answer.status, len(answer.json()["decisions"])) == (200, 1000)
    assert alone > 3


def _has_come(client):
    try:
        return bool(client.sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


@pytest.mark.parametrize("worker", [LOOP, THREADS])
def test_https_is_what_the_proxy_says_it_is(token, worker):
    server = listening.serving(token, "--workers", "1", worker=worker, PUBLIC_URL="https://scores.example")
    with server as started, started.connected() as client:
        secure = client.get("/ready", more="X-Forwarded-Proto: https\r\n")
        plain = client.get("/ready")
    assert ["strict-transport-security" in answer.headers for answer in (secure, plain)] == [True, False]


@pytest.mark.parametrize("worker", [LOOP, THREADS])
def test_it_listens_on_a_unix_socket(token, worker, tmp_path):
    with listening.serving(token, worker=worker, bind=f"unix:{tmp_path}/s") as started, started.connected() as client:
        assert is_on_record(client.post(row()))
    with pytest.raises(OSError, match="refused|No such file"), started.connected():
        pass
