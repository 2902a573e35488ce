"""The front of the tracking server: who may ask it what. It listens on a private socket and trusts whoever reaches it.

Runs, metrics and artifacts pass in both directions as they come, never held in memory. What deletes is refused, and so
is every part of MLflow not listed here: some read the server's own files or call other machines.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import httpx
import orjson
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import ownership
from registry.api.access import actor_of
from registry.api.mlflow import pinned
from registry.api.mlflow.errors import READ, WRITE, Endpoint, NoEndpoint
from registry.intake import store
from registry.intake import tracking as tracking_server
from registry.refusals import Invalid, NotAllowed, Refusal, TooLarge, Unavailable

_SERVED = {"experiments", "runs", "metrics", "logged-models", "traces", "datasets"}
_READS = {"search", "search-datasets", "batchGetInfos", "calculate-filter-correlation"}
_UNTAGS = {"delete-tag", "delete-experiment-tag"}
_PART = re.compile(r"[^/\\\x00-\x1f\x7f]+")
_CHUNK = 1024 * 1024
_PATIENCE = httpx.Timeout(300, connect=5)
_THERE = ("Content-Type", "Content-Length", "Content-Encoding", "Accept", "Accept-Encoding", "Range")
_BACK = (
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Content-Range",
    "Accept-Ranges",
    "ETag",
    "Last-Modified",
)


class Tracking(Endpoint):
    """Experiments, runs, metrics, logged models, traces: `mlflow/…` of the API's levels 2.0 and 3.0."""

    @property
    def needs(self) -> str:
        """Reading takes the right to read, which some searches do by POST."""
        reads = self.request.method in ("GET", "HEAD") or self.kwargs["path"].rpartition("/")[2] in _READS
        return READ if reads else WRITE

    def get(self, request: Request, level: str, path: str) -> HttpResponseBase:
        """Pass the request on."""
        parts = _parts(path)
        if parts[0] not in _SERVED or "artifacts" in parts[1:]:
            raise NoEndpoint(f"mlflow/{path[:100]} is not served here.")
        _keep(str(request.method), parts)
        if parts in (["runs", "create"], ["experiments", "create"]):
            return _forward(request, f"/api/{level}/mlflow", parts, body=_claimed(request, parts[0]))
        return _forward(request, f"/api/{level}/mlflow", parts)

    post = patch = put = delete = get


class ServerInfo(Endpoint):
    """mlflow/server-info."""

    def get(self, request: Request) -> Response:
        """Answer that every byte passes through here: no workspaces, no signed addresses of another store."""
        answer = {"store_type": "SqlStore", "workspaces_enabled": False, "trace_archival_enabled": False}
        return Response({**answer, "multipart_uploads_enabled": False, "multipart_downloads_enabled": False})


class ArtifactList(Endpoint):
    """mlflow-artifacts/artifacts."""

    def get(self, request: Request) -> HttpResponseBase:
        """List a folder of artifacts: of a registered version by us, of a run by the tracking server."""
        path = request.query_params.get("path", "").strip("/")
        parts = _parts(path) if path else []
        if parts[:1] == [pinned.PREFIX]:
            return Response({"files": pinned.listing("/".join(parts))})
        return _forward(request, "/api/2.0/mlflow-artifacts/artifacts", [], {"path": path} if path else {})


class Artifacts(Endpoint):
    """mlflow-artifacts/artifacts/<path>."""

    def get(self, request: Request, path: str) -> HttpResponseBase:
        """Download a file."""
        parts = _parts(path)
        if parts[0] == pinned.PREFIX:
            answer: HttpResponseBase = HttpResponse(pinned.content(path), content_type="application/octet-stream")
        else:
            answer = _forward(request, "/api/2.0/mlflow-artifacts/artifacts", parts)
        answer.headers["Content-Disposition"] = "attachment"  # nothing of it is ever shown on our origin
        return answer

    def put(self, request: Request, path: str) -> HttpResponseBase:
        """Upload a file beside a run; the files of a registered version never change."""
        parts = _parts(path)
        if parts[0] == pinned.PREFIX:
            raise NotAllowed("The files of a registered version cannot be changed. Register a new version.")
        ownership.demand_upload(parts, actor_of(request))
        if store.is_here():
            store.write(parts, _sent(request) or ())
            return Response({})
        return _forward(request, "/api/2.0/mlflow-artifacts/artifacts", parts)

    def delete(self, request: Request, path: str) -> HttpResponseBase:
        """Refuse."""
        raise NotAllowed("Artifacts are evidence and are not deleted here.")


def _parts(path: str) -> list[str]:
    """Return the parts of a path; Invalid when it could mean another place, however often it is decoded."""
    decoded = path
    while (plain := unquote(decoded)) != decoded:
        decoded = plain
    for part in [*path.split("/"), *decoded.split("/")]:
        if not _PART.fullmatch(part) or part in (".", ".."):
            raise Invalid(f"The path {path[:200]!r} is not accepted: it has empty, '.' or '..' parts.")
    return path.split("/")


def _keep(method: str, parts: list[str]) -> None:
    """Refuse what deletes; tags may go, the tracking server's are nobody's evidence."""
    untags = parts[-1] in _UNTAGS or parts[2:3] == ["tags"]
    deletes = method == "DELETE" or parts[-1].startswith("delete") or "delete" in parts
    if deletes and not untags:
        raise NotAllowed("Runs, models and experiments are evidence and are not deleted here. Set a tag instead.")


def _claimed(request: Request, what: str) -> bytes:
    """Return the body of a create call as it may be passed on: read here and written anew, so that it is read once."""
    body = request.data
    if not isinstance(body, dict):
        raise Invalid("Send a JSON object.")
    return orjson.dumps(ownership.of_run(body, actor_of(request)) if what == "runs" else ownership.of_experiment(body))


def _forward(
    request: Request,
    base: str,
    parts: list[str],
    query: dict[str, str] | None = None,
    body: bytes | None = None,
) -> HttpResponseBase:
    path = "/".join([base, *(quote(part, safe="") for part in parts)])
    if query is None and request.META.get("QUERY_STRING"):
        path = f"{path}?{request.META['QUERY_STRING']}"
    headers = {name: request.headers[name] for name in _THERE if request.headers.get(name)}
    headers.setdefault("Accept-Encoding", "identity")
    if body is not None:
        headers = {**headers, "Content-Length": str(len(body)), "Content-Type": "application/json"}
    with tracking_server.asking() as tracking:
        asked = tracking.build_request(
            str(request.method),
            path,
            params=query or None,
            headers=headers,
            content=_sent(request) if body is None else body,
            timeout=_PATIENCE,
        )
        found = tracking.send(asked, stream=True)
    if found.status_code >= 400 and found.headers.get("Content-Type", "").startswith("text/html"):
        found.close()
        raise _paged(request, found.status_code)
    passed = {name: found.headers[name] for name in _BACK if name in found.headers}
    return StreamingHttpResponse(_Answer(found), status=found.status_code, headers=passed)


def _paged(request: Request, status: int) -> Refusal:
    """Return the refusal that stands for a page which the tracking server made for people."""
    if status >= 500:
        return Unavailable(f"The tracking server answered {status}. Try again, or look at its log.")
    return NoEndpoint(f"{request.method} {request.path[:200]} is not served by the tracking server ({status}).")


def _sent(request: Request) -> Iterator[bytes] | None:
    """Return the body as it comes in; TooLarge as soon as that is known."""
    length = int(request.headers.get("Content-Length") or 0)
    if length > settings.UPLOAD_LIMIT:
        raise _too_large()
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if chunked and request.META.get("wsgi.input_terminated"):
        return _read(request.META["wsgi.input"])  # Django reads no further than a Content-Length
    return _read(request._request, length) if length else None


def _read(stream: Any, length: int = 0) -> Iterator[bytes]:
    """Yield the body, whole: of `length` bytes if that was said."""
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > settings.UPLOAD_LIMIT:
            raise _too_large()
        yield chunk
    if total < length:
        raise Invalid(f"Of {length:,} bytes only {total:,} came. Send the file again.")


def _too_large() -> TooLarge:
    return TooLarge(f"A file has at most {settings.UPLOAD_LIMIT:,} bytes here.")


class _Answer:
    """What the tracking server answers, piece by piece; its connection is free again afterwards."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_raw(_CHUNK)

    def close(self) -> None:
        """Let go of the connection, whether or not all was read."""
        self._answer.close()
