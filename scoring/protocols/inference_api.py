"""/v2: the Open Inference Protocol V2 over HTTP. Every error on these paths is `{"error": …}`."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from registry.api import problems
from registry.api.access import actor_of
from registry.refusals import Unknown
from registry.schema import Schema
from scoring import serving
from scoring.protocols import bodies, deciding, inference, rows
from scoring.protocols.receiving import body_of, obstacle
from scoring.protocols.tensors import Tensor

_NAME, _EXTENSIONS = "countersign", ["binary_tensor_data", "parameters"]
_VERSION = metadata.version("countersign")
_DATATYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "category": "BYTES", "date": "BYTES"}
_JSON = "application/json"
_HEADER_LENGTH = "Inference-Header-Content-Length"
_REASONS = 20  # at most this many single reasons in one line of text
_ENTITY = "entity"  # a tensor of texts beside the features: whom each row is about


def refused(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Turn an anticipated error into the protocol's form; anything else is a bug and is left to the server."""
    answer = problems.answer(error, context)
    if answer is None:
        return None
    reasons = "; ".join(_words(reason) for reason in answer.data.get("reasons", [])[:_REASONS])
    status = 400 if isinstance(error, bodies.Malformed) else answer.status_code
    return failed(status, f"{answer.data['detail']} {reasons}".strip(), dict(answer.headers))


def _words(reason: dict[str, str]) -> str:
    """Return a reason in words; of several rows, which one it is about."""
    of_row, _, row = reason.get("pointer", "").partition("#/rows/")
    return reason["detail"] if of_row or not row else f"row {row.partition('/')[0]}: {reason['detail']}"


def failed(status: int, words: str, headers: dict[str, str] | None = None) -> JsonResponse:
    """Return the error object of the protocol."""
    kept = {name: value for name, value in (headers or {}).items() if name != "Content-Type"}
    return JsonResponse({"error": words}, status=status, headers=kept)


def in_form(answer: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return a handler of errors outside any view, such as a Host that is not ours, that keeps to the form on /v2."""

    def handle(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        said = answer(request) if exception is None else answer(request, exception)
        if not f"{request.path}/".startswith("/v2/"):
            return said
        return failed(said.status_code, orjson.loads(said.content)["detail"], dict(said.headers))

    return handle


class Endpoint(APIView):
    """Base of the protocol's endpoints: errors in its form."""

    needs: Any = "anyone"

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], HttpResponse | None]:
        """Answer errors in the protocol's form."""
        return refused


class Nothing(Endpoint):
    """Every other address below /v2."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Say that nothing is there, whatever the method."""
        raise Unknown(f"Nothing is served at {request.path[:200]}.")


class Live(Endpoint):
    """Whether the process answers."""

    http_method_names = ["get", "head"]

    def get(self, request: Request) -> HttpResponse:
        """Say so."""
        return JsonResponse({"live": True})


class Ready(Endpoint):
    """Whether decisions are accepted."""

    http_method_names = ["get", "head"]

    def get(self, request: Request) -> HttpResponse:
        """Say so, or why not (503)."""
        reason = obstacle()
        told = {"live": True, "ready": reason is None}
        return JsonResponse(told if reason is None else {**told, "error": reason}, status=503 if reason else 200)


class Server(Endpoint):
    """What this server is."""

    http_method_names = ["get", "head"]

    def get(self, request: Request) -> HttpResponse:
        """Answer name, version and extensions."""
        return JsonResponse({"name": _NAME, "version": _VERSION, "extensions": _EXTENSIONS})


class ModelReady(Endpoint):
    """Whether a model answers with scores."""

    needs = "scoring.score"
    http_method_names = ["get", "head"]

    def get(self, request: Request, name: str, version: str | None = None) -> HttpResponse:
        """Say so; 503 while its package's fallback answers instead of a score, or nothing does."""
        reason = obstacle()
        served = serving.champion(name, now=timezone.now())
        serving.demand_version(served, number(version))
        if reason is None and served.runtime is None:
            reason = serving.NOT_LOADED
        told = {"name": name, "ready": reason is None}
        return JsonResponse(told if reason is None else {**told, "error": reason}, status=503 if reason else 200)


class Model(Endpoint):
    """What a model takes and gives."""

    needs = "scoring.score"
    http_method_names = ["get", "head"]

    def get(self, request: Request, name: str, version: str | None = None) -> HttpResponse:
        """Answer the champion's inputs, one for each feature, and what is answered about a row."""
        served = serving.champion(name, now=timezone.now())
        serving.demand_version(served, number(version))
        kept = served.package.version
        inputs = [(column.name, _DATATYPES[column.kind]) for column in served.schema.columns]
        return JsonResponse(
            {
                "name": name,
                "versions": [str(kept.number)],
                "platform": kept.flavour,
                "inputs": _described(inputs),
                "outputs": _described(inference.OUTPUTS.items()),
            }
        )


def _described(tensors: Any) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in tensors]


class Infer(Endpoint):
    """Ask the champion of a model for a decision on each row."""

    needs = "scoring.score"
    http_method_names = ["post"]

    def post(self, request: Request, name: str, version: str | None = None) -> HttpResponse:
        """Answer the outputs asked for; each row is decided on, explained and on record before it is answered.

        `id` is the request_id: sent again with the same rows, it gives the same decisions.
        """
        asked = inference.read(body_of(request), request.headers.get(_HEADER_LENGTH))
        now = timezone.now()
        served = serving.champion(name, now=now)
        features, entities = _split(asked, served.schema)
        decided = deciding.decide(
            name=name,
            rows=rows.of_tensors(features, served.schema),
            request_id=asked.id,
            entities=entities,
            version=number(version),
            by=actor_of(request),
            now=now,
        )
        return _answer(request, *inference.written(asked, decided))


def _split(asked: inference.Asked, schema: Schema) -> tuple[list[Tensor], list[str]]:
    """Return the features' tensors, and the entities, which stand in a tensor or, for one row, in the parameters."""
    beside = [tensor for tensor in asked.inputs if tensor.name == _ENTITY and _ENTITY not in schema.names]
    entities = beside[0].values if beside else [asked.parameters[_ENTITY]] if _ENTITY in asked.parameters else []
    return [tensor for tensor in asked.inputs if tensor not in beside], entities


def _answer(request: Request, body: bytes, header_length: int | None) -> HttpResponse:
    packed, coding = bodies.deflated(body, request.headers.get("Accept-Encoding", ""))
    answer = HttpResponse(packed, content_type=_JSON if header_length is None else "application/octet-stream")
    answer.headers["Vary"] = "Accept-Encoding"
    if header_length is not None:
        answer.headers[_HEADER_LENGTH] = str(header_length)
    if coding:
        answer.headers["Content-Encoding"] = coding
    return answer


def number(version: str | None) -> int | None:
    """Return the number that a version in an address is; Unknown where it is none."""
    if version is None:
        return None
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise Unknown(f"Versions are numbered 1, 2, 3 …; there is none {version[:40]!r}.")
    return int(version)
