"""Models and versions as the messages of MLflow's protobuf definitions, in JSON.

Each comes with its tags, aliases and description by one query for any number of rows. A version is PENDING_REGISTRATION
until its files are stored; its stage is always "None": what serves is said by deployments, as serving aliases show.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import JSONObject

from registry import registrations
from registry.api.mlflow.errors import Serving, nothing_serves
from registry.models import Alias, Description, RegisteredModel, Registration, Tag

_Row = dict[str, Any]
_HEAVY = ("artifact", "schema", "lineage", "metrics")  # never shown here, and long


def told_models() -> QuerySet[RegisteredModel]:
    """Return all models, each with what was said of it: `told_tags`, `told_text`, `told_at`, `told_aliases`."""
    here = {"model": OuterRef("pk")}
    aliases = _newest_aliases(**here).values(data=JSONObject(alias="name", version="registration__number"))
    rows = RegisteredModel.objects.select_related("owner")
    return rows.annotate(**_said(**here, registration=None), told_aliases=ArraySubquery(aliases))


def told_versions() -> QuerySet[Registration]:
    """Return all registrations, each with what was said of it, the run and model that its version was made from."""
    here = {"registration": OuterRef("pk")}
    rows = Registration.objects.select_related("model", "asked_by", "version", "refusal")
    return rows.defer(*(f"version__{name}" for name in _HEAVY)).annotate(
        **_said(**here),
        told_aliases=ArraySubquery(_newest_aliases(**here).values("name")),
        told_run=KeyTextTransform("run_id", "version__lineage"),
        told_model=KeyTextTransform("model_id", "version__lineage"),
    )


def _said(**whose: Any) -> dict[str, Any]:
    tags = Tag.objects.filter(**whose).order_by("key", "-set_at", "-id").distinct("key")
    text = Description.objects.filter(**whose).order_by("-set_at", "-id")
    return {
        "told_tags": ArraySubquery(tags.values(data=JSONObject(key="key", value="value"))),
        "told_text": Subquery(text.values("text")[:1]),
        "told_at": Subquery(text.values("set_at")[:1]),
    }


def _newest_aliases(**whose: Any) -> QuerySet[Alias]:
    """Return the aliases that point to something now, by name."""
    later = Q(set_at__gt=OuterRef("set_at")) | Q(set_at=OuterRef("set_at"), pk__gt=OuterRef("pk"))
    moved = Alias.objects.filter(later, model=OuterRef("model"), name=OuterRef("name"))
    return Alias.objects.filter(~Exists(moved), registration__isnull=False, **whose).order_by("name")


def model(row: RegisteredModel, serving: Serving = nothing_serves) -> _Row:
    """Return the RegisteredModel message of one model."""
    return models([told_models().get(pk=row.pk)], serving)[0]


def version(row: Registration, serving: Serving = nothing_serves) -> _Row:
    """Return the ModelVersion message of one registration."""
    return versions([told_versions().get(pk=row.pk)], serving)[0]


def models(rows: Sequence[RegisteredModel], serving: Serving = nothing_serves) -> list[_Row]:
    """Return RegisteredModel messages of rows of `told_models`."""
    newest = list(told_versions().filter(model__in=rows).order_by("model", "-number").distinct("model"))
    served = serving([row.pk for row in rows])
    latest = {found.model_id: _version(found, served.get(found.model_id, {})) for found in newest}
    touched = {found.model_id: found.asked_at for found in newest}
    numbers = _numbers(target for aliases in served.values() for target in aliases.values())
    return [
        {
            **_times(row.created_at, touched.get(row.pk), row.told_at),  # type: ignore[attr-defined]
            "name": row.name,
            "user_id": row.owner.username,
            "description": _text(row),
            "latest_versions": [latest[row.pk]] if row.pk in latest else [],
            "tags": _tags(row),
            "aliases": [
                *row.told_aliases,  # type: ignore[attr-defined]
                *({"alias": name, "version": numbers[target]} for name, target in served.get(row.pk, {}).items()),
            ],
        }
        for row in rows
    ]


def versions(rows: Sequence[Registration], serving: Serving = nothing_serves) -> list[_Row]:
    """Return ModelVersion messages of rows of `told_versions`."""
    served = serving({row.model_id for row in rows})
    return [_version(row, served.get(row.model_id, {})) for row in rows]


def _version(row: Any, served: dict[str, Any]) -> _Row:
    standing = registrations.standing(row)
    return {
        **_times(row.asked_at, _ended(row), row.told_at),
        "name": row.model.name,
        "version": str(row.number),
        "user_id": row.asked_by.username,
        "current_stage": "None",
        "description": _text(row),
        "source": row.source,
        "run_id": row.run_id or row.told_run or "",
        "run_link": row.run_link,
        "model_id": row.logged_model or row.told_model or "",
        "status": standing.status,
        "status_message": standing.message,
        "tags": _tags(row),
        "aliases": [*row.told_aliases, *(name for name, target in served.items() if target == row.pk)],
    }


def _ended(row: Registration) -> datetime | None:
    if hasattr(row, "version"):
        return row.version.registered_at
    return row.refusal.refused_at if hasattr(row, "refusal") else None


def _times(created: datetime, *later: datetime | None) -> _Row:
    touched = max([created, *(at for at in later if at)])
    return {
        "creation_timestamp": int(created.timestamp() * 1000),
        "last_updated_timestamp": int(touched.timestamp() * 1000),
    }


def _text(row: Any) -> str:
    text: str = row.description if row.told_text is None else row.told_text
    return text


def _tags(row: Any) -> list[dict[str, str]]:
    return [tag for tag in row.told_tags if tag["value"] is not None]


def _numbers(found: Iterable[Any]) -> dict[Any, str]:
    pairs = Registration.objects.filter(pk__in=list(found)).values_list("pk", "number")
    return {pk: str(number) for pk, number in pairs}
