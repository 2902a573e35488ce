"""How a "no" looks: a page to people, a problem (RFC 9457) to programs."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import render
from django.views import csrf, defaults

from registry.api import problems
from registry.refusals import Invalid, Refusal, Unavailable


class RefusalsMiddleware:
    """Answers every refusal that a page did not show at its own form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; tell a program in words that a method is not served."""
        answer = self.get_response(request)
        if isinstance(answer, HttpResponseNotAllowed) and for_program(request):
            return _method_not_allowed(request, answer.headers.get("Allow", ""))
        return answer

    def process_view(self, request: HttpRequest, *view: object) -> HttpResponse | None:
        """Refuse a NUL in the address before anything asks the database with it."""
        if "%00" in request.META.get("QUERY_STRING", "") or "\0" in request.path:
            return self.process_exception(request, Invalid("The address holds a NUL character. Remove it."))
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a refusal; anything else is a bug and is left to the server."""
        exception = problems.refusal_in(exception)
        if not isinstance(exception, Refusal):
            return None
        if for_program(request):
            return problems.page(exception)
        status, title = problems.status_of(exception)
        answer = render(request, "refusal.html", {"title": title, "refusal": exception}, status=status)
        if isinstance(exception, Unavailable):
            answer.headers["Retry-After"] = "1"
        return answer


def for_program(request: HttpRequest) -> bool:
    """Say whether the answer is read by a program."""
    accepted = request.headers.get("Accept", "")
    return f"{request.path}/".startswith(("/api/", "/ajax-api/")) or (
        "json" in accepted and "text/html" not in accepted
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what no view was asked with, such as a Host that is not ours."""
    return (
        problems.bad_request(request, exception) if for_program(request) else defaults.bad_request(request, exception)
    )


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without its token."""
    if for_program(request):
        detail = "This address is a form of the pages. Programs use /api/v1/ with a bearer token."
        return _problem(403, "Not allowed", detail, "notallowed")
    return csrf.csrf_failure(request, reason)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that is not there."""
    return problems.not_found(request) if for_program(request) else defaults.page_not_found(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what nobody may do this way."""
    if for_program(request):
        return _problem(403, "Not allowed", "This is not allowed.", "notallowed")
    return defaults.permission_denied(request, exception)


def broken(request: HttpRequest) -> HttpResponse:
    """Answer when we broke: nothing is said about how."""
    if for_program(request):
        return _problem(500, "Something broke", "It is in the server's log. Nothing was half done.", "broken")
    return defaults.server_error(request)


def _method_not_allowed(request: HttpRequest, allowed: str) -> JsonResponse:
    detail = f"{request.method} is not served at {request.path}, only {allowed}."
    answer = _problem(405, "Method not allowed", detail, "methodnotallowed")
    answer.headers["Allow"] = allowed
    return answer


def _problem(status: int, title: str, detail: str, kind: str) -> JsonResponse:
    body = problems.problem(status, title, detail, [], kind)
    return JsonResponse(body, status=status, content_type=problems.MEDIA_TYPE)
