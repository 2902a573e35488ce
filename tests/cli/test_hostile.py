"""A server that is not ours, or not honest: it rules no terminal, and gets no token meant for another."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli.conftest import Terminal

TOKEN = "csn_" + "s" * 43


class Server(ThreadingHTTPServer):
    """Answers everything alike, and keeps what it was sent."""

    def __init__(self, status, body, **headers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.said = status, body, headers
        self.seen = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body, headers = self.server.said
        self.server.seen.append(self.headers.get("Authorization"))
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture
def serving():
    made = []

    def serve(status, body, **headers):
        made.append(Server(status, body, **headers))
        return made[-1]

    yield serve
    for server in made:
        server.shutdown()
        server.server_close()


def ask(tmp_path, server, *words):
    return Terminal(tmp_path, COUNTERSIGN_URL=server.url, COUNTERSIGN_TOKEN=TOKEN)(*words)


def test_what_is_no_countersign_server_is_named_so(serving, tmp_path):
    said = ask(tmp_path, serving(200, b"<html>Welcome</html>"), "status")
    assert said.code == 3
    assert "Is it a Countersign server?" in " ".join(said.err.split())
    lost = ask(tmp_path, serving(404, b"<html>Nothing here</html>"), "status")
    assert lost.code == 3
    assert "answered 404" in lost.err


@pytest.mark.parametrize("body", [b"[]", b"{}", b'"x"', b'{"models": 3}', b'{"models": [{}]}'])
def test_json_of_another_form_is_no_traceback(serving, tmp_path, body):
    said = ask(tmp_path, serving(200, body), "status")
    assert said.code == 5
    assert "in a form that it does not know" in " ".join(said.err.split())


def test_a_redirect_is_not_followed_with_the_token(serving, tmp_path):
    other = serving(200, b"{}")
    said = ask(tmp_path, serving(302, b"", Location=other.url), "status")
    assert said.code == 3
    assert other.url in said.err
    assert other.seen == []


def test_what_a_server_says_does_not_rule_the_terminal(serving, tmp_path):
    detail = "\x1b]0;owned\x07\x1b[2Jno\u202e\x9b31m"
    body = json.dumps({"title": "x", "status": 403, "detail": detail, "reasons": [{"detail": detail}, 3]}).encode()
    for words in (["status"], ["status", "--json"]):
        said = ask(tmp_path, serving(403, body), *words)
        assert said.code == 3
        assert not set(said.out + said.err) & set("\x1b\x07\x9b\u202e")


def test_a_server_that_is_too_busy_is_asked_again_and_then_left(serving, tmp_path):
    server = serving(503, b'{"detail": "Not now."}', **{"Retry-After": "0"})
    said = ask(tmp_path, server, "status")
    assert said.code == 4
    assert "Not now." in said.err
    assert server.seen == [f"Bearer {TOKEN}"] * 7
