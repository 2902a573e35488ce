"""JSON bodies in and out, by orjson."""

import json
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
    """application/json; NaN and infinity are not JSON. A view may have a limit of its own: `body_limit`, in bytes."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the parsed body."""
        limit = getattr((parser_context or {}).get("view"), "body_limit", settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"A JSON body has at most {limit} bytes here. Send less at once.")
        return parse(body)


def parse(body: bytes) -> Any:
    """Return the value of a JSON body; Invalid for what is none: NaN and infinity too, or a name that comes twice."""
    if b"\\u0000" in body:
        raise Invalid("A text holds a NUL character, which nothing here can keep. Remove it.")
    try:
        value = orjson.loads(body)
        if body.count(b":") != _members(value):  # each member has a colon: one too many is a text's, or a name's
            json.loads(body, object_pairs_hook=_each_once, parse_int=str, parse_float=str)  # that comes twice
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The body is not JSON: {error}. NaN and Infinity are not JSON; send null instead.") from error
    except RecursionError as error:
        raise Invalid("The body is nested too deeply. Nothing here needs more than a few levels.") from error
    return value


def _members(value: Any) -> int:
    """Return how many members the objects in a value have together."""
    count, waiting = 0, [value]
    for one in waiting:  # which grows meanwhile
        inner = one
        if type(one) is dict:
            count += len(one)
            inner = one.values()
        elif type(one) is not list:
            continue
        waiting += [item for item in inner if type(item) is dict or type(item) is list]
    return count


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse a name that comes twice: which of its values counts would be a guess, and would go on record."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Invalid(f"The name {name[:100]!r} comes twice in one object. Send it once.")
        seen.add(name)
