"""From what the application answers to the bytes that leave: whole, with a length, by RFC 9110 and 9112."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from io import BytesIO
from typing import Any

from gunicorn import SERVER  # type: ignore[import-untyped]
from gunicorn.util import is_hoppish  # type: ignore[import-untyped]

from registry.api.rewriting import plain
from scoring.loop.requests import Head

FAULT = plain(500, "Internal Server Error", "This is a fault of the server, not of the request. Send it again.")

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(slots=True)
class Reply:
    """One answer. `sent` and `headers` are what gunicorn's access log asks of it."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def sent(self) -> int:
        """Return the length of the body."""
        return len(self.body)


def ask(application: Application, head: Head, peer: Any, body: bytes) -> tuple[Reply, dict[str, Any]]:
    """Return what the application answers to a request, and the environ it was asked with."""
    environ = head.environ.copy()
    environ["wsgi.input"] = BytesIO(body)
    if head.length is None:
        environ["CONTENT_LENGTH"] = str(len(body))
    if isinstance(peer, tuple) and "PROXY_PROTOCOL" not in environ:
        environ["REMOTE_PORT"] = str(peer[1])
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        started[:] = [status, headers]
        return written.append

    written: list[bytes] = []
    parts = application(environ, start_response)
    try:
        written.extend(parts)
    finally:
        close = getattr(parts, "close", None)
        if close:
            close()
    return Reply(started[0], started[1], b"".join(written)), environ


def encoded(reply: Reply, head: Head, *, keep: bool) -> bytes:
    """Return the bytes of an answer; `keep` says whether the connection stays. ValueError: a header holds a line break.

    The length is always told, so that no answer is cut or run on; HEAD, 204 and 304 have no body.
    """
    request = head.request
    bodiless = reply.status[:3] in ("204", "304")
    lines = [
        f"HTTP/{request.version[0]}.{request.version[1]} {reply.status}\r\nServer: {SERVER}\r\nDate: {_date()}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n"
    ]
    lines += [f"{name}: {value}\r\n" for name, value in reply.headers if not _is_ours(name)]
    lines.append("\r\n" if bodiless else f"Content-Length: {len(reply.body)}\r\n\r\n")
    text = "".join(lines)
    if text.count("\n") != text.count("\r\n") or text.count("\n") != 4 + len(lines) + (not bodiless) - 1:
        raise ValueError("A header of the answer holds a line break.")
    if bodiless or request.method == "HEAD":
        return text.encode("latin1")
    return text.encode("latin1") + reply.body


def _is_ours(name: str) -> bool:
    return name.lower() == "content-length" or is_hoppish(name)


_second, _formatted = 0, ""


def _date() -> str:
    global _second, _formatted
    now = int(time.time())
    if now != _second:
        _second, _formatted = now, formatdate(now, usegmt=True)
    return _formatted
