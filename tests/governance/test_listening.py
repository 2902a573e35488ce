"""What is not HTTP gets a problem from both servers, as everything else that a program gets wrong."""

import socket
from urllib.parse import urlsplit

import pytest


def ask(url, request):
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer.partition(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_line",
    [b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"hello", b"GET / HTTP/9.9", b"GET / HTTP/1.1\r\nno colon"],
)
def test_what_is_not_http_is_a_problem(platform, request_line):
    for url in (platform.url, platform.scoring_url):
        head, _, body = ask(url, request_line + b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 4")
        assert b"application/problem+json" in head
        assert b"<html>" not in body


def test_a_long_search_reaches_the_server(platform):
    address = "/api/2.0/mlflow/registered-models/search?filter=" + "a" * 6000
    head, _, _ = ask(platform.url, f"GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert head.startswith(b"HTTP/1.1 401")
