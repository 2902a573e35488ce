"""Models and versions as the messages of MLflow's protobuf definitions, in JSON; a few queries for any number of rows.

A version is PENDING_REGISTRATION until its files are stored; its stage is always "None": what serves is said by
deployments, which the serving aliases mirror.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.fields.json import KT

from registry import labels, registrations
from registry.api.mlflow.errors import Serving, nothing_serves
from registry.models import Alias, Description, ModelVersion, RegisteredModel, Registration, Tag

_Row = dict[str, Any]
_Named = dict[UUID, list[tuple[str, UUID]]]  # model → its aliases, each with what it points to
_HEAVY = ("artifact", "schema", "lineage", "metrics")  # never shown here, and long


def selected() -> QuerySet[Registration]:
    """Return all registrations with what a ModelVersion message says of each, and nothing longer."""
    rows = Registration.objects.select_related("model", "asked_by", "version", "refusal")
    return rows.defer(*(f"version__{name}" for name in _HEAVY))


def models(rows: Sequence[RegisteredModel], serving: Serving = nothing_serves) -> list[_Row]:
    """Return RegisteredModel messages."""
    aliases = _aliases([row.pk for row in rows], serving)
    newest = list(selected().filter(model__in=rows).order_by("model", "-number").distinct("model"))
    latest = dict(zip((row.model_id for row in newest), _versions(newest, aliases), strict=True))
    numbers = _numbers(target for pairs in aliases.values() for _, target in pairs)
    tags = Tag.objects.filter(model__in=rows, registration=None).order_by("model", "key", "-set_at", "-id")
    tagged = _grouped((tag.model_id, tag) for tag in tags.distinct("model", "key"))
    said = labels.descriptions(rows, "model")
    asked = {row.model_id: row.asked_at for row in newest}
    return [
        {
            **_times(row.created_at, asked.get(row.pk), _at(said.get(row.pk))),
            "name": row.name,
            "user_id": row.owner.username,
            "description": said[row.pk].text if row.pk in said else row.description,
            "latest_versions": [latest[row.pk]] if row.pk in latest else [],
            "tags": _tags(tagged[row.pk]),
            "aliases": [{"alias": name, "version": str(numbers[target])} for name, target in aliases[row.pk]],
        }
        for row in rows
    ]


def versions(rows: Sequence[Registration], serving: Serving = nothing_serves) -> list[_Row]:
    """Return ModelVersion messages."""
    return _versions(rows, _aliases({row.model_id for row in rows}, serving))


def _versions(rows: Sequence[Registration], named: _Named) -> list[_Row]:
    tags = Tag.objects.filter(registration__in=rows).order_by("registration", "key", "-set_at", "-id")
    tagged = _grouped((tag.registration_id, tag) for tag in tags.distinct("registration", "key"))
    aliases = _grouped((target, name) for pairs in named.values() for name, target in pairs)
    known = ModelVersion.objects.filter(pk__in=[row.pk for row in rows])
    found = known.values_list("pk", KT("lineage__run_id"), KT("lineage__model_id"))
    lineage = {pk: (run, model) for pk, run, model in found}
    said = labels.descriptions(rows, "registration")
    return [
        {
            **_version(row, said.get(row.pk), *lineage.get(row.pk, ("", ""))),
            "tags": _tags(tagged[row.pk]),
            "aliases": aliases[row.pk],
        }
        for row in rows
    ]


def _version(row: Registration, said: Description | None, run: str | None, model: str | None) -> _Row:
    standing = registrations.standing(row)
    return {
        **_times(row.asked_at, _ended(row), _at(said)),
        "name": row.model.name,
        "version": str(row.number),
        "user_id": row.asked_by.username,
        "current_stage": "None",
        "description": said.text if said else row.description,
        "source": row.source,
        "run_id": row.run_id or run or "",
        "run_link": row.run_link,
        "model_id": row.logged_model or model or "",
        "status": standing.status,
        "status_message": standing.message,
    }


def _ended(row: Registration) -> datetime | None:
    if hasattr(row, "version"):
        return row.version.registered_at
    return row.refusal.refused_at if hasattr(row, "refusal") else None


def _at(said: Description | None) -> datetime | None:
    return said.set_at if said else None


def _times(created: datetime, *later: datetime | None) -> _Row:
    touched = max([created, *(at for at in later if at)])
    return {
        "creation_timestamp": int(created.timestamp() * 1000),
        "last_updated_timestamp": int(touched.timestamp() * 1000),
    }


def _tags(rows: Iterable[Tag]) -> list[dict[str, str]]:
    return [{"key": tag.key, "value": tag.value} for tag in rows if tag.value is not None]


def _aliases(models: Iterable[UUID], serving: Serving) -> _Named:
    """Return the aliases of models, free and serving, each with the version it points to."""
    models = list(models)
    rows = Alias.objects.filter(model__in=models).order_by("model", "name", "-set_at", "-id").distinct("model", "name")
    found = _grouped((row.model_id, (row.name, row.registration_id)) for row in rows if row.registration_id)
    for model, served in serving(models).items():
        found[model] += served.items()
    return found


def _numbers(registrations: Iterable[UUID]) -> dict[UUID, int]:
    return dict(Registration.objects.filter(pk__in=list(registrations)).values_list("pk", "number"))


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> defaultdict[Any, list[Any]]:
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
