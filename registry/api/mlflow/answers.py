"""Models and versions as the messages of MLflow's protobuf definitions, in JSON; a few queries for any number of rows.

Every version is READY at once and its stage is always "None": what serves is said by deployments, not by a stage.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from registry.models import Alias, ModelVersion, RegisteredModel, Tag

_Row = dict[str, Any]


def models(rows: Sequence[RegisteredModel]) -> list[_Row]:
    """Return RegisteredModel messages."""
    newest = ModelVersion.objects.filter(model__in=rows).select_related("model", "registered_by")
    latest = versions(list(newest.order_by("model", "-number").distinct("model")))
    by_name = {row["name"]: row for row in latest}
    tags = Tag.objects.filter(model__in=rows, version=None).order_by("model", "key", "-set_at", "-id")
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
                {"alias": alias.name, "version": str(alias.version.number)}
                for alias in aliases[row.id]
                if alias.version
            ],
        }
        for row in rows
    ]


def versions(rows: Sequence[ModelVersion]) -> list[_Row]:
    """Return ModelVersion messages."""
    tags = Tag.objects.filter(version__in=rows).order_by("version", "key", "-set_at", "-id")
    found = _grouped((tag.version_id, tag) for tag in tags.distinct("version", "key"))
    aliases = _grouped((alias.version_id, alias.name) for alias in _aliases({row.model_id for row in rows}))
    return [_version(row, found[row.id], aliases[row.id]) for row in rows]


def _version(row: ModelVersion, tags: list[Tag], aliases: list[str]) -> _Row:
    return {
        **_times(row.registered_at),
        "name": row.model.name,
        "version": str(row.number),
        "user_id": row.registered_by.username,
        "current_stage": "None",
        "description": row.description,
        "source": row.lineage.get("source") or "",
        "run_id": row.lineage.get("run_id") or "",
        "run_link": row.lineage.get("run_link") or "",
        "model_id": row.lineage.get("model_id") or "",
        "status": "READY",
        "status_message": f"Kept, but cannot be served: {row.unservable}." if row.unservable else "",
        "tags": _tags(tags),
        "aliases": aliases,
    }


def _times(at: datetime) -> _Row:
    milliseconds = int(at.timestamp() * 1000)
    return {"creation_timestamp": milliseconds, "last_updated_timestamp": milliseconds}


def _tags(rows: Iterable[Tag]) -> list[dict[str, str]]:
    return [{"key": tag.key, "value": tag.value} for tag in rows if tag.value is not None]


def _aliases(models: Iterable[Any]) -> Iterable[Alias]:
    rows = Alias.objects.filter(model__in=list(models)).select_related("version")
    return rows.order_by("model", "name", "-set_at", "-id").distinct("model", "name")


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> defaultdict[Any, list[Any]]:
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
