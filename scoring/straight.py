"""The short way to a decision: requests for one score, in a thread that waits for nothing, go straight to their view.

Django's own way costs as much again as the view: signals whose receivers look after sessions with the database, which
such a thread has none of, and a search through all addresses. Everything else goes that way.
"""

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http.response import HttpResponseBase
from django.middleware.security import SecurityMiddleware

from registry.api.problems import broken
from scoring import api, committing

_SCORE = re.compile(r"/api/v1/models/([!-.0-~]+)/score")  # other letters come in WSGI's own encoding

log = logging.getLogger("django.request")  # where Django tells of what breaks in a view


class Straight:
    """An application before Django's, for what it can answer."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application
        self._view = api.Score.as_view()
        self._answer: Callable[[Any], Any] = SecurityMiddleware(self._asked)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the application does."""
        found = _SCORE.fullmatch(environ["PATH_INFO"])
        if not found or environ["REQUEST_METHOD"] != "POST" or committing.may_wait():
            return self.application(environ, start_response)
        request = WSGIRequest(environ)
        request.resolver_match = None
        request._name = found[1]  # type: ignore[attr-defined]
        response = self._answer(request)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return [response.content]

    def _asked(self, request: Any) -> HttpResponseBase:
        try:
            response = self._view(request, name=request._name)
            return response.render() if hasattr(response, "render") else response  # type: ignore[no-any-return]
        except Exception:
            log.exception("Internal Server Error: %s", request.path)
            return broken(request)
