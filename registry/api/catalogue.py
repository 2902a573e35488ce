"""/api/v1/: models, versions and policies."""

from typing import Any

from django.db.models import Count
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import labels, policies, registrations, versions
from registry.api.access import actor_of
from registry.api.datasets import text as _text
from registry.models import ModelVersion, RegisteredModel, Registration
from registry.refusals import Invalid, Unknown

_READ, _WRITE = "registry.read", "registry.register_version"
_PAGE = 200


class Models(APIView):
    """The registered models."""

    needs = {"GET": _READ, "POST": _WRITE}

    def get(self, request: Request) -> Response:
        """Answer the models by name, 200 at a time; `after` is the last name of the page before."""
        rows = RegisteredModel.objects.select_related("owner").annotate(count=Count("registrations")).order_by("name")
        found = rows.filter(name__gt=_text(request.query_params, "after"))[:_PAGE]
        said = labels.descriptions(found, "model")
        described = {pk: row.text for pk, row in said.items()}
        return Response({"models": [{**_model(row, described.get(row.pk)), "versions": row.count} for row in found]})

    def post(self, request: Request) -> Response:
        """Register a model: name; optional purpose, exposure, description."""
        body = request.data
        optional = {"purpose", "exposure", "description"}
        if not isinstance(body, dict) or "name" not in body or set(body) - optional - {"name"}:
            raise Invalid(f"Send an object with name; optional: {', '.join(sorted(optional))}.")
        fields = {key: _text(body, key) for key in body}
        model = versions.register_model(by=actor_of(request), now=timezone.now(), **fields)
        return Response(_model(model, None), status=201)


class Model(APIView):
    """One model."""

    needs = _READ

    def get(self, request: Request, name: str) -> Response:
        """Answer the model with its tags, free aliases and versions."""
        model = versions.model_named(_text({"name": name}, "name"))
        rows = Registration.objects.filter(model=model).order_by("-number")
        rows = rows.select_related("model", "asked_by", "version", "refusal")
        aliases = {alias: registration.number for alias, registration in labels.aliases_of(model).items()}
        known = {"tags": labels.tags_of(model), "aliases": aliases, "versions": [_short(row) for row in rows[:_PAGE]]}
        return Response({**_model(model, labels.description_of(model)), **known})


class Version(APIView):
    """One version."""

    needs = _READ

    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer everything that was fixed when it was registered, and its tags; where it stands while it is not."""
        registration = versions.registration_of(_text({"name": name}, "name"), number)
        tags = labels.tags_of(registration.model, registration)
        said = labels.description_of(registration.model, registration)
        if not hasattr(registration, "version"):
            return Response({**_short(registration), "description": said, "tags": tags})
        version = versions.version_of(registration.model.name, number)
        data = {role: getattr(version, role) for role in versions.DATA_ROLES}
        return Response(
            {
                **_short(registration),
                "description": said,
                "schema": version.schema,
                "artifact": version.artifact,
                "lineage": version.lineage,
                "metrics": version.metrics,
                "data": {role: dataset.digest for role, dataset in data.items() if dataset},
                "tags": tags,
            }
        )


class PolicyInForce(APIView):
    """The rules of a tier."""

    needs = _READ

    def get(self, request: Request, tier: int) -> Response:
        """Answer the policy in force."""
        if tier not in policies.TIERS:
            raise Unknown(f"There is no tier {str(tier)[:20]}: tiers are {', '.join(map(str, policies.TIERS))}.")
        policy = policies.in_force(tier)
        return Response({**policies.record(policy), "digest": policy.digest, "adopted_at": policy.adopted_at})


def _model(model: RegisteredModel, described: str | None) -> dict[str, Any]:
    return {
        "name": model.name,
        "description": model.description if described is None else described,
        "purpose": model.purpose,
        "exposure": model.exposure,
        "tier": model.tier,
        "owner": model.owner.username,
        "created_at": model.created_at,
    }


def _short(registration: Registration) -> dict[str, Any]:
    standing = registrations.standing(registration)
    version: ModelVersion | None = getattr(registration, "version", None)
    return {
        "model": registration.model.name,
        "version": registration.number,
        "status": standing.status,
        "status_message": standing.message,
        "source": registration.source,
        "registered_by": registration.asked_by.username,
        "asked_at": registration.asked_at,
        **(_pinned(version) if version else {}),
    }


def _pinned(version: ModelVersion) -> dict[str, Any]:
    return {
        "digest": version.digest,
        "flavour": version.flavour,
        "unservable": version.unservable,
        "registered_at": version.registered_at,
    }
