"""JSON bodies that come in chunks: Django reads no further than a Content-Length, so that they would count as empty."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def measured(application: Application) -> Application:
    """Return the application behind a step that reads such a body and tells its length.

    Only what asks for our own API in JSON: artifacts pass in chunks as they come.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _is_ours(environ):
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return application(environ, start_response)

    return answer


def _is_ours(environ: dict[str, Any]) -> bool:
    return (
        "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        and environ.get("wsgi.input_terminated", False)
        and environ["PATH_INFO"].startswith("/api/v1/")
        and environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == "application/json"
    )
