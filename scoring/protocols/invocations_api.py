"""/invocations, /ping, /version: what `mlflow models serve` answers, for each model below /models/NAME, or for one."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.access import actor_of
from registry.api.mlflow import errors
from registry.refusals import Invalid, Unknown
from scoring import serving
from scoring.protocols import deciding, invocations
from scoring.protocols.receiving import body_of, obstacle

_SPOKEN = metadata.version("mlflow-skinny")  # the MLflow whose protocol this is


class Endpoint(APIView):
    """Base of MLflow's serving endpoints: errors in its form."""

    needs: Any = "anyone"

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Answer errors in MLflow's form."""
        return errors.answer


class Invocations(Endpoint):
    """Ask the champion of a model for predictions."""

    needs = "scoring.score"

    def post(self, request: Request, name: str | None = None) -> Response:
        """Answer `predictions`, and beside them `decisions`; each row is decided on and on record before."""
        now, name = timezone.now(), name or _default()
        served = serving.champion(name, now=now)
        asked = _reader(request)(body_of(request), served.schema)
        decided = deciding.decide(
            name=name,
            rows=asked.rows,
            request_id=asked.request_id,
            entities=invocations.entities(asked),
            by=actor_of(request),
            now=now,
        )
        return Response(invocations.written(decided))


def _default() -> str:
    if not settings.INVOCATIONS_MODEL:
        raise Unknown("No model answers here: ask at /models/NAME/invocations, or have INVOCATIONS_MODEL set.")
    return str(settings.INVOCATIONS_MODEL)


def _reader(request: Request) -> Callable[..., invocations.Asked]:
    kind, _, parameter = (request.content_type or "").partition(";")
    if "charset" in parameter.lower() and "utf-8" not in parameter.lower():
        raise Invalid("Only UTF-8 is read here.")
    if kind.strip().lower() not in _READERS:
        raise Invalid(f"Content-Type {kind[:60]!r} is not read here: send {' or '.join(_READERS)}.")
    return _READERS[kind.strip().lower()]


_READERS = {"application/json": invocations.from_json, "text/csv": invocations.from_csv}


class Ping(Endpoint):
    """Whether decisions are accepted."""

    def get(self, request: Request, name: str | None = None) -> HttpResponse:
        """Say so, or why not (503)."""
        reason = obstacle()
        return JsonResponse({} if reason is None else {"error": reason}, status=503 if reason else 200)


class Version(Endpoint):
    """Which MLflow's protocol this is."""

    def get(self, request: Request, name: str | None = None) -> HttpResponse:
        """Answer its number as a text."""
        return HttpResponse(_SPOKEN, content_type="text/plain")
