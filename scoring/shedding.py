"""Overload: a request that has waited too long in line is refused at once, so that those who are admitted are quick.

The rule is CoDel's as servers use it (Nichols and Jacobson, "Controlling queue delay", 2012; Maurer, "Fail at scale",
2015): bursts may wait up to BURST, but once the line has not been short for that long, nobody may wait longer than
SHORT. So the line never stands, whatever arrives.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from registry.api import problems

SHORT = 0.1  # seconds in line that are not felt
BURST = 0.5  # seconds that a burst may wait, and after which a line that never got short is an overload
LONGEST = 1000  # requests in line
RETRY_AFTER = "1"  # seconds
_DETAIL = "More is asked than this server can answer in time. Nothing was decided; send the same again in a moment."

_short_at = time.monotonic()  # when somebody last came whose wait was short
_line = threading.local()


def room(queued: int, waited: float) -> bool:
    """Say whether a request is admitted that has waited so many seconds in line and leaves so many behind it."""
    global _short_at
    now = time.monotonic()
    if waited <= SHORT:
        _short_at = now
    return queued <= LONGEST and waited <= (BURST if now - _short_at < BURST else SHORT)


def stood(queued: int, waited: float) -> None:
    """Let the request that this thread takes up now be judged by these, when it reaches the `Gate`."""
    _line.told = queued, waited


class Gate:
    """The application behind a door: what changes something and came too late is refused before any work is done."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the application does, or with 503; what only reads is never refused."""
        told, _line.told = getattr(_line, "told", (0, 0.0)), (0, 0.0)
        if room(*told) or environ["REQUEST_METHOD"] != "POST":
            return self.application(environ, start_response)
        kind, body = refusal(environ.get("PATH_INFO", ""))
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Retry-After", RETRY_AFTER)]
        start_response("503 Service Unavailable", headers)
        return [body]


def refusal(path: str) -> tuple[str, bytes]:
    """Return media type and body of the refusal: on the paths of the Open Inference Protocol in its form."""
    if path.startswith("/v2"):
        return "application/json", orjson.dumps({"error": _DETAIL})
    return problems.MEDIA_TYPE, orjson.dumps(problems.problem(503, "Not available now", _DETAIL, [], "unavailable"))
