"""Small bodies that come in chunks: Django reads no further than a Content-Length, so they would count as empty."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def measured(application: Application) -> Application:
    """Return the application behind a step that reads such a body and tells its length.

    Only what asks for our own API in JSON, or for decisions: artifacts pass in chunks as they come.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _is_ours(environ):
            body = environ["wsgi.input"].read(settings.BATCH_BODY_LIMIT + 1)
            environ = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return application(environ, start_response)

    return answer


def _is_ours(environ: dict[str, Any]) -> bool:
    return (
        "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        and environ.get("wsgi.input_terminated", False)
        and (_is_of_protocols(environ["PATH_INFO"]) or _is_json(environ))
    )


def _is_json(environ: dict[str, Any]) -> bool:
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return environ["PATH_INFO"].startswith("/api/v1/") and kind == "application/json"


def _is_of_protocols(path: str) -> bool:
    """Say whether a stock client asks for decisions: whatever its media type, the body is small."""
    return path.startswith("/v2/") or (path.startswith(("/models/", "/invocations")) and path.endswith("/invocations"))
