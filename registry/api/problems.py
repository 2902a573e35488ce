"""RFC 9457 problem details: one table from refusals to HTTP, one function that answers every API error."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from registry import refusals

TABLE: dict[type[refusals.Refusal], tuple[int, str]] = {
    refusals.Invalid: (422, "What was sent does not fit"),
    refusals.Unknown: (404, "Not found"),
    refusals.NotAllowed: (403, "Not allowed"),
    refusals.Conflict: (409, "It contradicts the record"),
    refusals.TooMany: (429, "Too many attempts"),
    refusals.TooLarge: (413, "Too large"),
    refusals.Unavailable: (503, "Not available now"),
    refusals.Mismatch: (503, "Bytes do not match their record"),
}
TYPE = "https://countersign.example/problems/"
MEDIA_TYPE = "application/problem+json"
_WAIT = {429: "900", 503: "1"}  # seconds that a program should wait
_MALFORMED = "The request is not of a form that is accepted here: its host, its number of fields or its encoding."


def status_of(refusal: refusals.Refusal) -> tuple[int, str]:
    """Return the HTTP status and title of a refusal."""
    return next((TABLE[kind] for kind in type(refusal).__mro__ if kind in TABLE), (400, "Refused"))


def problem(status: int, title: str, detail: str, reasons: list[dict[str, str]], kind: str) -> dict[str, Any]:
    """Return the members of RFC 9457 section 3.1; `reasons` is an extension listing each single reason."""
    body: dict[str, Any] = {"type": TYPE + kind, "title": title, "status": status, "detail": detail}
    return {**body, "reasons": reasons} if reasons else body


def of_refusal(refusal: refusals.Refusal) -> dict[str, Any]:
    """Return the problem of a refusal."""
    status, title = status_of(refusal)
    return problem(status, title, refusal.detail, refusal.reasons, type(refusal).__name__.lower())


def page(refusal: refusals.Refusal) -> JsonResponse:
    """Answer a refusal outside DRF."""
    body = of_refusal(refusal)
    return JsonResponse(body, status=body["status"], content_type=MEDIA_TYPE)


def not_found(request: Any, exception: Exception | None = None) -> JsonResponse:
    """Answer an address that is not there, where no page would be shown."""
    detail = f"Nothing is served at {request.path}. The README lists the addresses."
    return JsonResponse(problem(404, "Not found", detail, [], "unknown"), status=404, content_type=MEDIA_TYPE)


def broken(request: Any) -> JsonResponse:
    """Answer a fault of ours, where no page would be shown: nothing was recorded, the request may be repeated."""
    detail = "This is a fault of the server, not of the request. Nothing was recorded; send it again in a moment."
    return JsonResponse(problem(500, "Server fault", detail, [], "fault"), status=500, content_type=MEDIA_TYPE)


def bad_request(request: Any, exception: Exception) -> JsonResponse:
    """Answer what no view was asked with, such as a Host that is not ours."""
    refusal = refusal_in(exception)
    return page(refusal if isinstance(refusal, refusals.Refusal) else refusals.Invalid(_MALFORMED))


def refusal_in(error: Exception) -> Exception:
    """Return the refusal that an error of a library means; any other error as it is."""
    if isinstance(error, RequestDataTooBig):
        return refusals.TooLarge("The body is larger than is accepted here. Send less, or upload it as a data set.")
    if isinstance(error, SuspiciousOperation):
        return refusals.Invalid(f"{_MALFORMED} ({type(error).__name__})")
    if isinstance(error, DataError):
        return refusals.Invalid(
            "It holds a value that the database cannot keep, such as a NUL character or a number beyond all bounds. "
            "Nothing was recorded; correct it and send it again."
        )
    if isinstance(error, OperationalError | InterfaceError):
        return refusals.Unavailable(
            "The database does not answer at the moment. Send the same again: what has a request_id is recorded once."
        )
    return error


def headers_of(error: exceptions.APIException) -> dict[str, str]:
    """Return what a program is told beside the words: how to sign in, and how many seconds to wait."""
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None) is not None:
        headers["Retry-After"] = str(max(int(error.wait), 1))  # type: ignore[attr-defined]
    return headers


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an anticipated error into a problem; anything else is a bug and is left to the server."""
    headers = {}
    error = refusal_in(error)
    if isinstance(error, refusals.Refusal):
        body = of_refusal(error)
        if body["status"] in _WAIT:
            headers["Retry-After"] = _WAIT[body["status"]]
    elif isinstance(error, Http404):
        body = problem(404, "Not found", str(error) or "There is nothing here.", [], "unknown")
    elif isinstance(error, exceptions.APIException):
        kind = type(error).__name__.lower()
        title = HTTPStatus(error.status_code).phrase
        body = problem(error.status_code, title, str(error.detail), [], kind)
        headers = headers_of(error)
    else:
        return None
    return Response(body, status=body["status"], content_type=MEDIA_TYPE, headers=headers)
