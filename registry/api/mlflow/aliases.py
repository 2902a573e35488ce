"""/api/2.0/mlflow/registered-models/alias."""

import re
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry import labels
from registry.api.access import actor_of, demand
from registry.api.mlflow import answers, named
from registry.api.mlflow.errors import READ, WRITE, Mirrored
from registry.api.mlflow.fields import Fields
from registry.models import RegisteredModel, Registration
from registry.refusals import Invalid

_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,250}")
_NOT_AN_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)  # MLflow keeps these for itself


class Alias(Mirrored):
    """registered-models/alias."""

    needs = {"GET": READ, "HEAD": READ, "POST": (WRITE, labels.MOVE), "DELETE": (WRITE, labels.MOVE)}

    def get(self, request: Request) -> Response:
        """Answer the version that an alias points to; a serving alias, the one that serves."""
        fields = Fields(request)
        model, name = named.model(fields), fields.required("alias")
        found = self._served(model, name.lower()) or labels.aliases_of(model).get(name)
        if found is None:
            hint = " It mirrors what is deployed, and nothing is." if name.lower() in labels.SERVING_ALIASES else ""
            raise Invalid(f"Registered model alias {name} not found.{hint}")
        return Response({"model_version": answers.version(found, self.serving)})

    def post(self, request: Request) -> Response:
        """Point an alias to a version."""
        fields = Fields(request)
        registration = named.version(fields)
        self._move(request, registration.model, fields, registration)
        return Response({})

    def delete(self, request: Request) -> Response:
        """Let an alias point to nothing."""
        fields = Fields(request)
        self._move(request, named.model(fields), fields, None)
        return Response({})

    def _served(self, model: RegisteredModel, name: str) -> Registration | None:
        identifier: UUID | None = self.serving([model.pk]).get(model.pk, {}).get(name)
        return Registration.objects.get(pk=identifier) if identifier else None

    def _move(self, request: Request, model: RegisteredModel, fields: Fields, to: Registration | None) -> None:
        may_move(request, model)
        by, now = actor_of(request), timezone.now()
        labels.alias(model=model, name=free(fields.required("alias")), registration=to, by=by, now=now)


def may_move(request: Request, model: RegisteredModel) -> None:
    """Raise NotAllowed unless the token may move aliases: of the owner's models, or of anybody's."""
    demand(request, WRITE if model.owner_id == request.user.pk else labels.MOVE)


def free(name: str) -> str:
    """Return the name of an alias; Invalid when MLflow would not resolve it."""
    if not _ALIAS.fullmatch(name) or _NOT_AN_ALIAS.fullmatch(name):
        raise Invalid(f"{name!r} cannot be an alias: use letters, digits, _ and -, not 'latest' nor 'v1'.")
    return name.lower() if name.lower() in labels.SERVING_ALIASES else name
