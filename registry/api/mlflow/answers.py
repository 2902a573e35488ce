"""Models and versions as the messages of MLflow's protobuf definitions, in JSON; a few queries for any number of rows.

A version is PENDING_REGISTRATION until its files are stored; its stage is always "None": what serves is said by
deployments, not by a stage.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from registry import registrations
from registry.models import Alias, RegisteredModel, Registration, Tag

_Row = dict[str, Any]


def models(rows: Sequence[RegisteredModel]) -> list[_Row]:
    """Return RegisteredModel messages."""
    newest = Registration.objects.filter(model__in=rows).select_related("model", "asked_by", "version", "refusal")
    latest = versions(list(newest.order_by("model", "-number").distinct("model")))
    by_name = {row["name"]: row for row in latest}
    tags = Tag.objects.filter(model__in=rows, registration=None).order_by("model", "key", "-set_at", "-id")
    found = _grouped((tag.model_id, tag) for tag in tags.distinct("model", "key"))
    aliases = _grouped((alias.model_id, alias) for alias in _aliases(row.id for row in rows))
    return [
        {
            **_times(row.created_at),
            "name": row.name,
            "user_id": row.owner.username,
            "description": row.description,
            "latest_versions": [by_name[row.name]] if row.name in by_name else [],
            "tags": _tags(found[row.id]),
            "aliases": [
                {"alias": alias.name, "version": str(alias.registration.number)}
                for alias in aliases[row.id]
                if alias.registration
            ],
        }
        for row in rows
    ]


def versions(rows: Sequence[Registration]) -> list[_Row]:
    """Return ModelVersion messages."""
    tags = Tag.objects.filter(registration__in=rows).order_by("registration", "key", "-set_at", "-id")
    found = _grouped((tag.registration_id, tag) for tag in tags.distinct("registration", "key"))
    aliases = _grouped((alias.registration_id, alias.name) for alias in _aliases({row.model_id for row in rows}))
    return [_version(row, found[row.id], aliases[row.id]) for row in rows]


def _version(row: Registration, tags: list[Tag], aliases: list[str]) -> _Row:
    standing = registrations.standing(row)
    lineage = row.version.lineage if hasattr(row, "version") else {}
    return {
        **_times(row.asked_at),
        "name": row.model.name,
        "version": str(row.number),
        "user_id": row.asked_by.username,
        "current_stage": "None",
        "description": row.description,
        "source": row.source,
        "run_id": row.run_id or lineage.get("run_id") or "",
        "run_link": row.run_link,
        "model_id": row.logged_model or lineage.get("model_id") or "",
        "status": standing.status,
        "status_message": standing.message,
        "tags": _tags(tags),
        "aliases": aliases,
    }


def _times(at: datetime) -> _Row:
    milliseconds = int(at.timestamp() * 1000)
    return {"creation_timestamp": milliseconds, "last_updated_timestamp": milliseconds}


def _tags(rows: Iterable[Tag]) -> list[dict[str, str]]:
    return [{"key": tag.key, "value": tag.value} for tag in rows if tag.value is not None]


def _aliases(models: Iterable[Any]) -> Iterable[Alias]:
    rows = Alias.objects.filter(model__in=list(models)).select_related("registration")
    return rows.order_by("model", "name", "-set_at", "-id").distinct("model", "name")


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> defaultdict[Any, list[Any]]:
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
