"""Clients that are slow, large or hostile hold up nobody else, and not for ever."""

import json
import socket
import time

import pytest

from tests.installations import until
from tests.scoring import listening
from tests.scoring.listening import row

HASTY = "tests.scoring.hasty.Worker"


@pytest.fixture(scope="module")
def server(token):
    with listening.serving(
        token, "--workers", "1", "--keep-alive", "1", "--worker-connections", "40", worker=HASTY
    ) as s:
        yield s


def test_a_request_byte_by_byte_is_a_request(server):
    data = json.dumps(row()).encode()
    with server.connected() as slow, server.connected() as other:
        slow.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = slow.head(len(data)) + data
        for place in range(len(whole) - 1):
            slow.send(whole[place : place + 1])
        assert other.post(row()).status == 200
        slow.send(whole[-1:])
        assert slow.answer().status == 200
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
        for place in range(len(chunk)):
            slow.send(
                (slow.head(None, more="Transfer-Encoding: chunked\r\n") if not place else b"") + chunk[place:][:1]
            )
        assert slow.answer().status == 200


@pytest.mark.parametrize("part", ["head", "body", "chunks"])
def test_a_request_that_does_not_come_whole_in_time_is_ended(server, part):
    with server.connected() as client:
        data = json.dumps(row()).encode()
        told = {
            "head": client.head(len(data))[:-2],
            "body": client.head(len(data)) + data[:-1],
            "chunks": client.head(None, more="Transfer-Encoding: chunked\r\n") + b"5\r\nhell",
        }[part]
        began = time.monotonic()
        client.send(told[:-3])
        time.sleep(0.6)
        client.send(told[-3:])  # which does not extend its time
        answer = client.answer()
        assert (answer.status, answer.headers["content-type"]) == (408, "application/problem+json")
        assert client.is_hung_up()
        assert time.monotonic() - began < 6


def test_a_connection_without_requests_is_ended_in_silence(server):
    with server.connected() as fresh, server.connected() as used:
        assert used.post(row()).status == 200
        assert fresh.is_hung_up()
        assert used.is_hung_up()


def test_a_client_that_does_not_read_is_left(server):
    """Its answers fill what the kernel keeps for it; it holds up nobody meanwhile, and is hung up on."""
    with server.connected() as deaf:
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.sock.settimeout(0.5)
        ended = False
        asked = deaf.head(None, path=f"/{'x' * 4000}", method="GET") * 5
        for _ in range(400):
            try:
                deaf.send(asked)
            except TimeoutError:
                break
            except ConnectionError:
                ended = True
                break
        with server.connected() as other:
            assert other.post(row()).status == 200
        until(lambda: ended or _is_reset(deaf), "it is hung up on", 20)


def _is_reset(client):
    try:
        client.send(b"x")
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return False


def test_a_body_that_is_too_large_is_refused_before_it_comes(server):
    with server.connected() as client:
        client.send(client.head(9_000_000))
        answer = client.answer()
        assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
        client.send(b"x" * 100_000)  # what is on its way does no harm
        assert client.is_hung_up()
    with server.connected() as client:
        client.send(client.head(9_000_000, path="/v2/models/fraud/infer"))
        answer = client.answer()
        assert (answer.status, answer.json()["error"]) == (413, answer.json()["detail"])
    with server.connected() as client:
        client.send(client.head(100_000) + b" " * 100_000)
        assert client.answer().status == 413  # by the application: too much for one score
    with server.connected() as client:
        client.send(client.head(None, more="Transfer-Encoding: chunked\r\n"))
        for _ in range(88):
            client.send(b"186a0\r\n" + b" " * 100_000 + b"\r\n")
        assert client.answer().status == 413


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;%s\r\nhello\r\n0\r\n\r\n" % (b"x" * 2000),
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nAuthorization: me\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
    ],
)
def test_chunks_that_another_server_might_read_otherwise_are_refused(server, chunks):
    with server.connected() as client:
        client.send(client.head(None, more="Transfer-Encoding: chunked\r\n") + chunks + client.head(None, method="GET"))
        answer = client.answer()
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
        assert client.is_hung_up()


def test_what_follows_a_request_is_the_next_request_and_nothing_else(server):
    data = json.dumps(row()).encode()
    with server.connected() as client:
        client.send(client.head(len(data)) + data + b"rubbish\r\n\r\n")
        assert client.answer().status == 200
        assert client.answer().status == 400
        assert client.is_hung_up()


def test_thousands_of_pipelined_requests_are_no_deeper_than_one(server):
    with server.connected() as client:
        wrong = client.head(2) + b"{}"
        client.send(wrong * 1500)
        assert {client.answer().status for _ in range(1500)} <= {422, 503}  # all, though some had to stand in line


def test_more_connections_than_may_be_wait_their_turn(server):
    held = [server.connected() for _ in range(40)]
    clients = [one.__enter__() for one in held]
    assert clients[0].post(row()).status == 200
    with server.connected() as late:
        late.send(late.head(None, path="/ready", method="GET"))
        for one in held:
            one.__exit__(None, None, None)
        assert late.answer().status == 200
