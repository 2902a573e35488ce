"""JSON bodies in and out, by orjson."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from registry.refusals import Invalid, TooLarge


class Json(BaseRenderer):
    """application/json, without a browsable page around it."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of the answer; no body at all for None."""
        return b"" if data is None else orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


class AnyAccept(BaseContentNegotiation):
    """One form of answer, whatever the Accept header asks for: a refusal over it would help nobody."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """Return the parser of the body's media type."""
        return DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type


class JsonParser(BaseParser):
    """application/json; NaN and infinity are not JSON."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the parsed body."""
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge(
                f"A JSON body has at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes here. Send less at once."
            )
        if b"\\u0000" in body:
            raise Invalid("A text holds a NUL character, which nothing here can keep. Remove it.")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Invalid(
                f"The body is not JSON: {error}. NaN and Infinity are not JSON; send null instead."
            ) from error
