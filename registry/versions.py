"""Register a model; pin the immutable versions of it, with their lineage."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from registry import artifacts, canonical, labels, ledger, locks, mlmodel, ranges, registrations
from registry.ledger import Event
from registry.models import Dataset, ModelVersion, RegisteredModel, Registration, User, people
from registry.refusals import Conflict, Invalid, Unknown

# Materiality is exposure × purpose (SR 26-2): the tier is the row and column of this table, 1 the most material.
PURPOSES = ("decides", "advises", "explores")
EXPOSURES = ("high", "medium", "low")
_TIERS = {"high": (1, 1, 3), "medium": (1, 2, 3), "low": (2, 3, 3)}
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
    """Register the next version of a model from the files of an MLflow model that are at hand: asked for and pinned.

    `lineage`: source, run_id, code_commit, parameters …; `data`: training, reference, holdout and golden data sets.
    The files are kept by digest before a row is written.
    """
    described, artifact = mlmodel.describe(files.get("MLmodel"), files, files.__getitem__), stored(files)
    described = replace(described, schema=ranges.learned(described.schema, (data or {}).get("reference")))
    with transaction.atomic():
        registration = registrations.place(
            model=model,
            source=lineage.get("source", ""),
            run_id=lineage.get("run_id", ""),
            description=description,
            tags=dict(tags or {}),
            by=by,
            now=now,
        )
        version = pin(
            registration=registration,
            described=described,
            artifact=artifact,
            lineage=lineage,
            metrics=metrics,
            data=data,
            actor=by.actor,
            now=now,
        )
        for key, value in registration.tags.items():
            labels.tag(model=model, registration=registration, key=key, value=value, by=by, now=now)
    return version


def stored(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Keep these files, by path, and return what a version says of them: path → {sha256, size}."""
    return {path: {"sha256": artifacts.put(content), "size": len(content)} for path, content in sorted(files.items())}


@transaction.atomic
def pin(
    *,
    registration: Registration,
    described: mlmodel.Description,
    artifact: Mapping[str, Mapping[str, Any]],
    lineage: Mapping[str, Any],
    metrics: Mapping[str, float] | None,
    data: Mapping[str, Dataset] | None,
    actor: str,
    now: datetime,
) -> ModelVersion:
    """Make a registration the version of these stored files; IntegrityError when it has ended already.

    `artifact`: path → {sha256, size} of bytes that the store holds; `actor`: who enters it, its author or the intake.
    """
    data = dict(data or {})
    known = {
        **lineage,
        "run_id": lineage.get("run_id") or described.run_id,
        "model_file": described.file,
        "environment_digest": artifact.get(described.environment, {}).get("sha256", ""),
        **{f"{role}_data": data[role].digest for role in DATA_ROLES if role in data},
    }
    version = ModelVersion(
        registration=registration,
        model=registration.model,
        number=registration.number,
        artifact=dict(artifact),
        flavour=described.flavour,
        schema=described.schema,
        unservable=described.unservable,
        lineage=known,
        metrics=dict(metrics or {}),
        description=registration.description,
        registered_by=registration.asked_by,
        registered_at=now,
        **data,
    )
    version.digest = canonical.digest(manifest(version))
    version.save(force_insert=True)
    facts = {
        "model": version.model.name,
        "number": version.number,
        "version": version.digest,
        "description": canonical.digest(version.description),
    }
    ledger.append(Event.VERSION_REGISTERED, subject=f"version:{version.id}", actor=actor, at=now, facts=facts)
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
        "author": people.actor(version.registered_by_id),
    }


def data_of(version: ModelVersion) -> dict[str, Dataset]:
    """Return the data sets of a version by the roles they play."""
    return {role: dataset for role in DATA_ROLES if (dataset := getattr(version, role))}


def logged_data(version: ModelVersion) -> list[dict[str, Any]]:
    """Return what its run logged of data that are not among the registered ones (see registry.lineage)."""
    held = {dataset.digest for dataset in data_of(version).values()}
    return [item for item in version.lineage.get("datasets", ()) if item.get("sha256") not in held]


def model_named(name: str) -> RegisteredModel:
    """Return a registered model."""
    model = RegisteredModel.objects.filter(name=name).first() if name.isprintable() else None
    if model is None:
        raise Unknown(f"No model named {name} is registered. See /api/v1/models for those that are.")
    return model


def registration_of(name: str, number: int) -> Registration:
    """Return what was asked for under a number of a model, whether or not it was pinned."""
    rows = Registration.objects.select_related("model", "asked_by", "version", "refusal")
    model = model_named(name)
    registration = rows.filter(model=model, number=number).first() if number < 1 << 31 else None
    if registration is None:
        raise Unknown(f"{model} has no version {number}.")
    return registration


def version_of(name: str, number: int) -> ModelVersion:
    """Return a version by its model's name and its number; Conflict while there are no bytes of it."""
    rows = ModelVersion.objects.select_related("model", "registered_by", "training", "reference", "holdout", "golden")
    model = model_named(name)
    version = rows.filter(model=model, number=number).first() if number < 1 << 31 else None
    if version is None:
        missing = registration_of(name, number)
        raise Conflict(f"{missing} has no files here. {registrations.standing(missing).message}")
    return version
