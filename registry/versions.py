"""Register a model and its immutable versions; tags, aliases and lineage of a version."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from registry import artifacts, canonical, ledger, locks, mlmodel
from registry.ledger import Event
from registry.models import Alias, Dataset, ModelVersion, RegisteredModel, Tag, User
from registry.models.people import actor
from registry.refusals import Conflict, Invalid, Unknown

# Materiality is exposure × purpose (SR 26-2): the tier is the row and column of this table, 1 the most material.
PURPOSES = ("decides", "advises", "explores")
EXPOSURES = ("high", "medium", "low")
_TIERS = {"high": (1, 1, 3), "medium": (1, 2, 3), "low": (2, 3, 3)}
SERVING_ALIASES = ("champion", "challenger", "shadow", "canary")
DATA_ROLES = ("training", "reference", "holdout", "golden")


def tier(*, purpose: str, exposure: str) -> int:
    """Return the risk tier of a model, 1 the highest."""
    if purpose not in PURPOSES or exposure not in EXPOSURES:
        raise Invalid(f"Choose purpose from {', '.join(PURPOSES)} and exposure from {', '.join(EXPOSURES)}.")
    return _TIERS[exposure][PURPOSES.index(purpose)]


@transaction.atomic
def register_model(
    *,
    name: str,
    by: User,
    now: datetime,
    description: str = "",
    purpose: str = "decides",
    exposure: str = "high",
) -> RegisteredModel:
    """Register a model under a new name. Without a purpose and exposure it counts as the most material."""
    if not name or len(name) > 120 or any(c in name for c in "/:\\") or not name.isprintable():
        raise Invalid("A model's name has 1 to 120 printable characters and no slash or colon.")
    if name.strip() != name or name in (".", ".."):
        raise Invalid("A model's name neither begins nor ends with a space, and is not '.' or '..': addresses hold it.")
    locks.hold(f"model named {name}")
    if RegisteredModel.objects.filter(name=name).exists():
        raise Conflict(f"A model named {name} is registered already. Register a version of it, or choose another name.")
    model = RegisteredModel.objects.create(
        name=name,
        description=description,
        purpose=purpose,
        exposure=exposure,
        tier=tier(purpose=purpose, exposure=exposure),
        owner=by,
        created_at=now,
    )
    facts = {
        "name": name,
        "purpose": purpose,
        "exposure": exposure,
        "tier": model.tier,
        "description": canonical.digest(description),
    }
    ledger.append(Event.MODEL_REGISTERED, subject=f"model:{model.id}", actor=by.actor, at=now, facts=facts)
    return model


def register(
    *,
    model: RegisteredModel,
    files: Mapping[str, bytes],
    by: User,
    now: datetime,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
    data: Mapping[str, Dataset] | None = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> ModelVersion:
    """Register the next version of a model from the files of an MLflow model.

    `lineage`: source, run_id, code_commit, parameters …; `data`: training, reference, holdout and golden data sets.
    The files are kept by digest before the row is written; numbers run 1, 2, 3 … without a gap.
    """
    described = mlmodel.describe(files)
    artifact = {
        path: {"sha256": artifacts.put(content), "size": len(content)} for path, content in sorted(files.items())
    }
    data = dict(data or {})
    known = {
        **lineage,
        "run_id": lineage.get("run_id") or described.run_id,
        "model_file": described.file,
        "environment_digest": artifact.get(described.environment, {}).get("sha256", ""),
        **{f"{role}_data": data[role].digest for role in DATA_ROLES if role in data},
    }
    with transaction.atomic():
        locks.hold(f"model:{model.id}")
        version = ModelVersion(
            model=model,
            number=model.versions.count() + 1,
            artifact=artifact,
            flavour=described.flavour,
            schema=described.schema,
            unservable=described.unservable,
            lineage=known,
            metrics=dict(metrics or {}),
            description=description,
            registered_by=by,
            registered_at=now,
            **data,
        )
        version.digest = canonical.digest(manifest(version))
        version.save(force_insert=True)
        facts = {
            "model": model.name,
            "number": version.number,
            "version": version.digest,
            "description": canonical.digest(description),
        }
        ledger.append(Event.VERSION_REGISTERED, subject=f"version:{version.id}", actor=by.actor, at=now, facts=facts)
        for key, value in (tags or {}).items():
            tag(model=model, version=version, key=key, value=value, by=by, now=now)
    return version


def manifest(version: ModelVersion) -> dict[str, Any]:
    """Return what a version's digest is computed over: its identity."""
    return {
        "model": version.model.name,
        "number": version.number,
        "artifact": version.artifact,
        "flavour": version.flavour,
        "schema": version.schema,
        "lineage": version.lineage,
        "metrics": version.metrics,
        "author": actor(version.registered_by_id),
    }


@transaction.atomic
def tag(
    *,
    model: RegisteredModel,
    version: ModelVersion | None,
    key: str,
    value: str | None,
    by: User,
    now: datetime,
) -> None:
    """Set a tag of a model or version (None takes it away); what it was before stays on record."""
    row = Tag.objects.create(model=model, version=version, key=key, value=value, set_by=by, set_at=now)
    subject = f"version:{version.id}" if version else f"model:{model.id}"
    facts = {"tag": canonical.digest(tag_record(row))}
    ledger.append(Event.MODEL_TAGGED, subject=subject, actor=by.actor, at=now, facts=facts)


def tag_record(row: Tag) -> dict[str, Any]:
    """Return what the entry of a tag is the digest of."""
    return {"key": row.key, "value": row.value}


def tags_of(model: RegisteredModel, version: ModelVersion | None = None) -> dict[str, str]:
    """Return the tags of a model or version as they stand."""
    rows = Tag.objects.filter(model=model, version=version).order_by("key", "-set_at", "-id").distinct("key")
    return {row.key: row.value for row in rows if row.value is not None}


@transaction.atomic
def alias(*, model: RegisteredModel, name: str, version: ModelVersion | None, by: User, now: datetime) -> None:
    """Point a free alias to a version (None: to nothing). Serving aliases mirror deployments and cannot be set."""
    if name.lower() in SERVING_ALIASES:
        raise Conflict(f"@{name} mirrors what is deployed and cannot be set. Ask for approval and promote a version.")
    Alias.objects.create(model=model, name=name, version=version, set_by=by, set_at=now)
    facts = {"alias": canonical.digest(name), "version": version.digest if version else None}
    ledger.append(Event.MODEL_ALIASED, subject=f"model:{model.id}", actor=by.actor, at=now, facts=facts)


def aliases_of(model: RegisteredModel) -> dict[str, ModelVersion]:
    """Return the free aliases of a model as they stand."""
    rows = Alias.objects.filter(model=model).select_related("version").order_by("name", "-set_at", "-id")
    return {row.name: row.version for row in rows.distinct("name") if row.version}


def model_named(name: str) -> RegisteredModel:
    """Return a registered model."""
    model = RegisteredModel.objects.filter(name=name).first() if name.isprintable() else None
    if model is None:
        raise Unknown(f"No model named {name} is registered. See /api/v1/models for those that are.")
    return model


def version_of(name: str, number: int) -> ModelVersion:
    """Return a version by its model's name and its number."""
    rows = ModelVersion.objects.select_related("model", "registered_by", "training", "reference", "holdout", "golden")
    model = model_named(name)
    version = rows.filter(model=model, number=number).first() if number < 1 << 31 else None
    if version is None:
        raise Unknown(f"{model} has no version {number}.")
    return version
