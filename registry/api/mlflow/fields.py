"""The fields of an MLflow request: from the query of a GET, else from a JSON object."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request

from registry.refusals import Invalid, TooLarge

LONGEST_KEY = 250
LONGEST_TEXT = 5000


class Fields:
    """What a request says; an Invalid names the field that is missing or malformed."""

    def __init__(self, request: Request) -> None:
        self._query = request.query_params if request.method == "GET" else None
        self._body: Any = {}
        if self._query is None:
            if int(request.headers.get("Content-Length") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                raise TooLarge(f"A request has at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")
            self._body = request.data
            if not isinstance(self._body, dict):
                raise Invalid("Send a JSON object.")

    def text(self, name: str, *, longest: int = LONGEST_TEXT) -> str:
        """Return a field that may be left out: the empty text then."""
        value = self._query.get(name) if self._query is not None else self._body.get(name)
        return _text(name, value, longest)

    def required(self, name: str, *, longest: int = LONGEST_KEY) -> str:
        """Return a field that must be there."""
        value = self.text(name, longest=longest)
        if not value:
            raise Invalid(f"Missing value for required parameter '{name}'.")
        return value

    def given(self, name: str) -> str:
        """Return a field that must be sent, be it as the empty text."""
        if name not in (self._query if self._query is not None else self._body):
            raise Invalid(f"Missing value for required parameter '{name}'. Send the empty text to say nothing.")
        return self.text(name)

    def size(self, *, default: int, most: int) -> int:
        """Return max_results: how many rows a page holds."""
        size = self.number("max_results", default)
        if not 0 < size <= most:
            raise Invalid(f"Invalid value for max_results. It must be at least 1 and at most {most}, but got {size}.")
        return size

    def number(self, name: str, default: int | None = None) -> int:
        """Return a whole number, sent as a number or as its digits."""
        value = self._query.get(name) if self._query is not None else self._body.get(name)
        if value in (None, "") and default is not None:
            return default
        if (
            isinstance(value, bool)
            or not isinstance(value, int | str)
            or not str(value)[:13].isdecimal()
            or len(str(value)) > 12
        ):
            raise Invalid(f"Parameter '{name}' must be an integer, got '{str(value)[:40]}'.")
        return int(value)

    def texts(self, name: str) -> list[str]:
        """Return a repeated field."""
        values = self._query.getlist(name) if self._query is not None else self._body.get(name) or []
        if not isinstance(values, list):
            raise Invalid(f"Parameter '{name}' must be a list.")
        return [_text(name, value, LONGEST_KEY) for value in values]

    def tags(self) -> dict[str, str]:
        """Return the `tags` of a create call."""
        tags = self._body.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, dict) and tag.get("key") for tag in tags):
            raise Invalid("Parameter 'tags' must be a list of objects with key and value.")
        return {_text("key", tag["key"], LONGEST_KEY): _text("value", tag.get("value"), LONGEST_TEXT) for tag in tags}


def _text(name: str, value: Any, longest: int) -> str:
    value = "" if value is None else value
    if not isinstance(value, str) or "\0" in value or len(value) > longest:
        raise Invalid(f"Parameter '{name}' must be a text of at most {longest} characters without NUL.")
    return value
