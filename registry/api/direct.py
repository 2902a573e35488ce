"""REST framework's view where microseconds count: JSON in, JSON out, and none of the steps that choose between forms.

Authentication, permissions, limits, refusals and their form are those of every other view, by the same classes.
"""

from typing import Any, ClassVar

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.rendering import JsonParser

_JSON = "application/json"
_PARSER = JsonParser()


class _Call(Request):
    """A request whose body is read once, as JSON, without the search for a parser when it says that it is JSON."""

    @property
    def data(self) -> Any:
        """Return the parsed body."""
        if self._request.META.get("CONTENT_TYPE") == _JSON:
            return _PARSER.parse(self._request, _JSON, self.parser_context)
        return super().data


class Direct(APIView):
    """A view that answers data by `Response`, as a rule with 200."""

    parsers: ClassVar[list[Any]]
    authenticators: ClassVar[list[Any]]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view, whose parsers and authenticators are made once."""
        cls.parsers = [kind() for kind in cls.parser_classes]
        cls.authenticators = [kind() for kind in cls.authentication_classes]
        return super().as_view(**initkwargs)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request by REST framework's steps, in its order."""
        self.args, self.kwargs, self.format_kwarg, self.headers = args, kwargs, None, {}
        told = {"view": self, "args": args, "kwargs": kwargs}
        self.request = call = _Call(request, self.parsers, self.authenticators, parser_context=told)
        try:
            self.perform_authentication(call)
            self.check_permissions(call)
            self.check_throttles(call)
            handler = getattr(self, str(request.method).lower(), self.http_method_not_allowed)
            answer: HttpResponseBase = handler(call, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as in REST framework, whose handler raises again what is no refusal
            answer = self.handle_exception(error)
        if isinstance(answer, Response) and answer.status_code == 200:
            body = orjson.dumps(answer.data, option=orjson.OPT_SERIALIZE_NUMPY)
            return HttpResponse(body, content_type=_JSON, headers=self.headers)
        self.headers = {**self.default_response_headers, **self.headers}
        self.response = self.finalize_response(call, answer, *args, **kwargs)  # type: ignore[arg-type]
        return self.response
