"""Errors as MLflow's client understands them, and what every MLflow endpoint shares.

The client repeats a request for minutes on 408, 429 and 5xx: only what may pass by itself answers so.
"""

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import refusals
from registry.api.access import TokenAuthentication
from registry.api.problems import headers_of, refusal_in
from registry.api.rendering import Json

READ, WRITE = "registry.read", "registry.register_version"


class Exists(refusals.Conflict):
    """The name is taken."""


class NoEndpoint(refusals.Unknown):
    """A part of MLflow that is not served here."""


# INVALID_STATE and DATA_LOSS are 500 in MLflow's own server; here they are final, hence 409.
_TABLE: dict[type[refusals.Refusal], tuple[int, str]] = {
    Exists: (400, "RESOURCE_ALREADY_EXISTS"),
    NoEndpoint: (404, "ENDPOINT_NOT_FOUND"),
    refusals.Invalid: (400, "INVALID_PARAMETER_VALUE"),
    refusals.Unknown: (404, "RESOURCE_DOES_NOT_EXIST"),
    refusals.NotAllowed: (403, "PERMISSION_DENIED"),
    refusals.TooMany: (403, "PERMISSION_DENIED"),
    refusals.Conflict: (409, "INVALID_STATE"),
    refusals.TooLarge: (413, "INVALID_PARAMETER_VALUE"),
    refusals.Unavailable: (503, "TEMPORARILY_UNAVAILABLE"),
    refusals.Mismatch: (409, "DATA_LOSS"),
    refusals.Refusal: (400, "BAD_REQUEST"),
}
_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    405: "ENDPOINT_NOT_FOUND",
    429: "REQUEST_LIMIT_EXCEEDED",
}


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an anticipated error into MLflow's form; anything else is a bug and is left to the server."""
    headers: dict[str, str] = {}
    error = refusal_in(error)
    if isinstance(error, refusals.Refusal):
        status, code = next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
        message = " ".join([error.detail, *(reason["detail"] for reason in error.reasons)])
    elif isinstance(error, Http404):
        status, code, message = 404, "ENDPOINT_NOT_FOUND", "There is nothing at this address."
    elif isinstance(error, exceptions.APIException):
        status, message = error.status_code, str(error.detail)
        code, headers = _CODES.get(status, "BAD_REQUEST"), headers_of(error)
    else:
        return None
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="countersign"'
        message += " Set MLFLOW_TRACKING_TOKEN to a token of this platform."
    if status == 503:
        headers["Retry-After"] = "1"
    return Response({"error_code": code, "message": message}, status=status, headers=headers)


class Endpoint(APIView):
    """Base of the MLflow endpoints: a bearer token, its right by method, errors in MLflow's form."""

    authentication_classes = [TokenAuthentication]  # a program's interface: no session, so nothing to forge
    needs: Any = {"GET": READ, "HEAD": READ, "POST": WRITE, "PUT": WRITE, "PATCH": WRITE, "DELETE": WRITE}

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Answer errors in MLflow's form."""
        return answer

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Json, str]:
        """Answer JSON whatever is accepted: MLflow's server does, and files are no choice of form."""
        return Json(), Json.media_type


Serving = Callable[[Collection[UUID]], dict[UUID, dict[str, UUID]]]  # models → of each: serving alias → version


def nothing_serves(models: Collection[UUID]) -> dict[UUID, dict[str, UUID]]:
    """Return no serving aliases: what the registry alone knows of deployments."""
    return {}


class Mirrored(Endpoint):
    """Base of the endpoints that answer models and versions with their aliases; `serving` adds those that serve."""

    serving: Serving = staticmethod(nothing_serves)
