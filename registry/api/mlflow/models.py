"""/api/2.0/mlflow/registered-models/…"""

import re

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry import labels, versions
from registry.api.access import actor_of
from registry.api.mlflow import answers, registering, search
from registry.api.mlflow.errors import READ, WRITE, Endpoint
from registry.api.mlflow.fields import Fields
from registry.pinning import OWN
from registry.refusals import Conflict, Invalid, NotAllowed, Refusal, Unknown

_LARGEST_PAGE = 1000
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,250}")
_NOT_AN_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)  # MLflow keeps these for itself


class Create(Endpoint):
    """registered-models/create."""

    def post(self, request: Request) -> Response:
        """Register a model; the caller owns it."""
        fields = Fields(request)
        model = registering.model(
            name=fields.required("name"),
            description=fields.text("description"),
            tags=fields.tags(),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({"registered_model": answers.models([model])[0]})


class Get(Endpoint):
    """registered-models/get."""

    def get(self, request: Request) -> Response:
        """Answer a model."""
        model = versions.model_named(Fields(request).required("name"))
        return Response({"registered_model": answers.models([model])[0]})


class Search(Endpoint):
    """registered-models/search."""

    def get(self, request: Request) -> Response:
        """Answer the models that a filter describes, a page at a time."""
        fields = Fields(request)
        rows = search.models(fields.text("filter"), fields.texts("order_by"))
        size = min(fields.number("max_results", 100), _LARGEST_PAGE)
        found, following = search.page(rows, size, fields.text("page_token"))
        return Response({"registered_models": answers.models(found), "next_page_token": following})


class Latest(Endpoint):
    """registered-models/get-latest-versions."""

    needs = READ

    def get(self, request: Request) -> Response:
        """Answer the newest version, which has no stage; none for a stage that is asked by name."""
        fields = Fields(request)
        model = versions.model_named(fields.required("name"))
        stages = fields.texts("stages")
        known = not stages or "none" in [stage.lower() for stage in stages]
        return Response({"model_versions": answers.models([model])[0]["latest_versions"] if known else []})

    post = get


class SetTag(Endpoint):
    """registered-models/set-tag."""

    def post(self, request: Request) -> Response:
        """Set a tag of a model."""
        fields = Fields(request)
        labels.tag(
            model=versions.model_named(fields.required("name")),
            registration=None,
            key=free(fields.required("key")),
            value=fields.text("value"),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})


class DeleteTag(Endpoint):
    """registered-models/delete-tag."""

    def delete(self, request: Request) -> Response:
        """Take a tag of a model away."""
        fields = Fields(request)
        labels.tag(
            model=versions.model_named(fields.required("name")),
            registration=None,
            key=free(fields.required("key")),
            value=None,
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})


class Alias(Endpoint):
    """registered-models/alias."""

    def get(self, request: Request) -> Response:
        """Answer the version that an alias points to."""
        fields = Fields(request)
        model, name = versions.model_named(fields.required("name")), fields.required("alias")
        registration = labels.aliases_of(model).get(name)
        if registration is None:
            hint = " It mirrors what is deployed, which the pages show." if name in labels.SERVING_ALIASES else ""
            raise Unknown(f"Registered model alias {name} not found.{hint}")
        found = versions.registration_of(model.name, registration.number)
        return Response({"model_version": answers.versions([found])[0]})

    def post(self, request: Request) -> Response:
        """Point an alias to a version."""
        fields = Fields(request)
        registration = versions.registration_of(fields.required("name"), fields.number("version"))
        labels.alias(
            model=registration.model,
            name=_alias(fields.required("alias")),
            registration=registration,
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})

    def delete(self, request: Request) -> Response:
        """Let an alias point to nothing."""
        fields = Fields(request)
        labels.alias(
            model=versions.model_named(fields.required("name")),
            name=_alias(fields.required("alias")),
            registration=None,
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({})


class Never(Endpoint):
    """What MLflow allows and an immutable registry does not."""

    needs = WRITE
    kind: type[Refusal] = NotAllowed
    detail = "This is never done here."

    def post(self, request: Request) -> Response:
        """Refuse, and say what to do instead."""
        raise self.kind(self.detail)

    patch = delete = post


def free(key: str) -> str:
    """Return a tag's key; Conflict when it belongs to the record."""
    if key.startswith(OWN):
        raise Conflict(f"{key} repeats what was fixed at registration and cannot be changed. Register a new version.")
    return key


def _alias(name: str) -> str:
    if not _ALIAS.fullmatch(name) or _NOT_AN_ALIAS.fullmatch(name):
        raise Invalid(f"{name!r} cannot be an alias: use letters, digits, _ and -, not 'latest' nor 'v1'.")
    return name.lower() if name.lower() in labels.SERVING_ALIASES else name
