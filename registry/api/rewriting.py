"""gunicorn's page about what is not HTTP, or broke before the application was reached, leaves as a problem."""

from typing import Any

import orjson

from registry.api import problems

_THEIRS = (
    "This is not a request that can be read: its first line, its headers or their length. Send it in another form."
)
_OURS = "This is a fault of the server, not of the request. Send it again in a moment."


def plain(status: int, title: str, detail: str, *, version: str = "1.1", more: str = "") -> bytes:
    """Return a whole answer of HTTP that carries a problem (RFC 9457) and ends the connection; `more`: header lines.

    Its member `error` is what a client of the Open Inference Protocol reads: whom it answers may not be known here.
    """
    body = orjson.dumps({**problems.problem(status, title, detail, [], "http"), "error": detail})
    head = (
        f"HTTP/{version} {status} {title}\r\nConnection: close\r\nContent-Type: {problems.MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode("latin1") + body


class Rewritten:
    """A connection on which gunicorn's page about an error leaves as a problem."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Send the problem with the status that the page has."""
        line = page.partition(b"\r\n")[0].decode("latin1")
        status, _, title = line.partition(" ")[2].partition(" ")
        self._client.sendall(plain(int(status), title, _OURS if status == "500" else _THEIRS))
