"""/api/v1/: models, versions, data sets and policies."""

from typing import Any

import orjson
from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import datasets, labels, policies, registrations, versions
from registry.api.access import actor_of
from registry.models import Dataset, ModelVersion, RegisteredModel, Registration
from registry.refusals import Invalid, TooLarge, Unknown

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


class Datasets(APIView):
    """The data sets."""

    needs = _WRITE
    parser_classes = [MultiPartParser]

    def post(self, request: Request) -> Response:
        """Register a Parquet file: multipart with `file`, `columns` (JSON) and `name`."""
        if int(request.headers.get("Content-Length") or 0) > settings.UPLOAD_LIMIT:
            raise TooLarge(f"A data set has at most {settings.UPLOAD_LIMIT:,} bytes. Send a sample of it.")
        file = request.FILES.get("file")
        name = _text(request.data, "name")
        if file is None or not 0 < len(name) <= 120:
            raise Invalid("Send multipart/form-data with `file` (Parquet), `columns` (JSON) and `name`.")
        columns = _columns(_text(request.data, "columns"))
        dataset = datasets.register(
            data=file.read(), name=name, columns=columns, by=actor_of(request), now=timezone.now()
        )
        return Response(_dataset(dataset), status=201)


class DatasetByDigest(APIView):
    """One data set."""

    needs = _READ

    def get(self, request: Request, digest: str) -> Response:
        """Answer what is known of a data set; its rows are not given out here."""
        dataset = datasets.by_digest(_text({"digest": digest}, "digest"))
        return Response({**_dataset(dataset), "columns": dataset.columns})


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


def _dataset(dataset: Dataset) -> dict[str, Any]:
    return {
        "digest": dataset.digest,
        "name": dataset.name,
        "rows": dataset.rows,
        "registered_at": dataset.registered_at,
    }


def _text(body: Any, name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or "\0" in value:
        raise Invalid(f"`{name}` must be a text.")
    return value


def _columns(text: str) -> list[dict[str, Any]]:
    try:
        columns = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"`columns` is not JSON: {error}.") from error
    if not isinstance(columns, list) or not all(isinstance(item, dict) and _words(item) for item in columns):
        raise Invalid("`columns` is a list of objects with name, role, and if needed kind, nullable, categories.")
    return columns


def _words(item: dict[str, Any]) -> bool:
    categories = item.get("categories", [])
    return isinstance(categories, list) and all(isinstance(word, str) for word in categories)
