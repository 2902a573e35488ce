"""Models and versions as the messages of MLflow's protobuf definitions, in JSON; a few queries for any number of rows.

A version is PENDING_REGISTRATION until its files are stored; its stage is always "None": what serves is said by
deployments, which the serving aliases mirror.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from registry import registrations
from registry.api.mlflow import said
from registry.api.mlflow.errors import Serving, nothing_serves
from registry.models import RegisteredModel, Registration

_Row = dict[str, Any]
_SHOWN = (
    *("number", "source", "run_id", "logged_model", "run_link", "description", "asked_at"),
    *("model__name", "asked_by__username", "version__unservable", "version__registered_at"),
    *("refusal__kind", "refusal__reason", "refusal__refused_at"),
)


def selected() -> QuerySet[Registration]:
    """Return all registrations with what a ModelVersion message says of each, and nothing longer."""
    return Registration.objects.select_related("model", "asked_by", "version", "refusal").only(*_SHOWN)


def model(row: RegisteredModel, serving: Serving = nothing_serves) -> _Row:
    """Return the RegisteredModel message of one model."""
    return models([row], serving)[0]


def version(row: Registration, serving: Serving = nothing_serves) -> _Row:
    """Return the ModelVersion message of one registration."""
    return versions([row], serving)[0]


def models(rows: Sequence[RegisteredModel], serving: Serving = nothing_serves) -> list[_Row]:
    """Return RegisteredModel messages."""
    told, served = said.of_models([row.pk for row in rows]), serving([row.pk for row in rows])
    newest = list(selected().filter(pk__in=[one.newest for one in told.values() if one.newest]))
    latest = {row.model_id: (row, message) for row, message in zip(newest, _versions(newest, served), strict=True)}
    numbers = _numbers(target for aliases in served.values() for target in aliases.values())
    return [
        _model(
            row, told[row.pk], latest.get(row.pk), {name: numbers[to] for name, to in served.get(row.pk, {}).items()}
        )
        for row in rows
    ]


def _model(
    row: RegisteredModel, told: said.OfModel, latest: tuple[Registration, _Row] | None, served: dict[str, str]
) -> _Row:
    return {
        **_times(row.created_at, latest[0].asked_at if latest else None, told.at),
        "name": row.name,
        "user_id": row.owner.username,
        "description": row.description if told.text is None else told.text,
        "latest_versions": [latest[1]] if latest else [],
        "tags": told.tags,
        "aliases": [*told.aliases, *({"alias": name, "version": number} for name, number in served.items())],
    }


def versions(rows: Sequence[Registration], serving: Serving = nothing_serves) -> list[_Row]:
    """Return ModelVersion messages."""
    return _versions(rows, serving({row.model_id for row in rows}))


def _versions(rows: Sequence[Registration], served: dict[UUID, dict[str, UUID]]) -> list[_Row]:
    told = said.of_versions([row.pk for row in rows])
    return [_version(row, told[row.pk], served.get(row.model_id, {})) for row in rows]


def _version(row: Registration, told: said.OfVersion, served: dict[str, UUID]) -> _Row:
    standing = registrations.standing(row)
    return {
        **_times(row.asked_at, _ended(row), told.at),
        "name": row.model.name,
        "version": str(row.number),
        "user_id": row.asked_by.username,
        "current_stage": "None",
        "description": row.description if told.text is None else told.text,
        "source": row.source,
        "run_id": row.run_id or told.run or "",
        "run_link": row.run_link,
        "model_id": row.logged_model or told.model or "",
        "status": standing.status,
        "status_message": standing.message,
        "tags": told.tags,
        "aliases": [*told.aliases, *(name for name, target in served.items() if target == row.pk)],
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


def _numbers(found: Iterable[UUID]) -> dict[UUID, str]:
    wanted = list(found)
    pairs = Registration.objects.filter(pk__in=wanted).values_list("pk", "number") if wanted else ()
    return {pk: str(number) for pk, number in pairs}
