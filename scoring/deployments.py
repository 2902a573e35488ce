"""Deploy; the champion; its history. What a deployment's warrant must say is checked here, wherever it is loaded."""

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from registry import dsse, keys, ledger, packages, policies, versions
from registry.canonical import digest, sha256
from registry.models import Package, RegisteredModel, User
from registry.refusals import Mismatch
from registry.tlog import notes
from scoring.events import Event
from scoring.models import Deployment

PREDICATE = "https://countersign.example/warrant/v1"


@transaction.atomic
def deploy(
    *, package: Package, request: uuid.UUID, order: uuid.UUID, warrant: str, by: User, now: datetime
) -> Deployment:
    """Make this package the champion from now on; the database refuses one without the signatures it needs."""
    model = package.version.model
    deployment = Deployment.objects.create(
        model=model, package=package, request=request, order=order, warrant=warrant, made_by=by, made_at=now
    )
    facts = {
        "package": package.digest,
        "version": package.version.digest,
        "request": str(request),
        "order": str(order),
        "warrant": sha256(warrant.encode()),
        "deployment": deployment.pk,
    }
    ledger.append(Event.DEPLOYMENT_MADE, subject=f"version:{package.version_id}", actor=by.actor, at=now, facts=facts)
    return deployment


def current(model: RegisteredModel) -> Deployment | None:
    """Return what serves a model: its newest deployment."""
    rows = Deployment.objects.select_related("package__version__model", "package__policy")
    return rows.filter(model=model).order_by("-id").first()


def champions() -> QuerySet[Deployment]:
    """Return what serves each model that has a champion: one query for all."""
    rows = Deployment.objects.select_related("model", "package__version__model", "package__policy")
    return rows.order_by("model_id", "-id").distinct("model_id")


def statement(*, package: Package, predicate: dict[str, Any]) -> dict[str, Any]:
    """Return the in-toto statement of a warrant over a package."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": str(package.version), "digest": {"sha256": package.digest}}],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }


def warrant_key() -> notes.Verifier:
    """Return the governor's public key."""
    return keys.verifier(settings.WARRANT_VKEY_FILE)


def verify(deployment: Deployment) -> dict[str, Any]:
    """Return the warrant's predicate if it allows exactly this deployment; Mismatch says what does not agree."""
    package, version = deployment.package, deployment.package.version
    said = dsse.unseal(deployment.warrant, warrant_key())
    predicate = said.get("predicate", {})
    expected = {
        "type": (said.get("predicateType"), PREDICATE),
        "package": (said["subject"][0]["digest"]["sha256"], package.digest),
        "model": (predicate.get("model"), deployment.model.name),
        "request": (predicate.get("request"), str(deployment.request)),
        "order": (predicate.get("order"), str(deployment.order)),
        "contents of the package": (digest(packages.record(package)), package.digest),
        "manifest of the version": (digest(versions.manifest(version)), version.digest),
        "rules of the policy": (digest(policies.record(package.policy)), package.policy.digest),
        "model of the version": (version.model_id, deployment.model_id),
    }
    wrong = [name for name, (found, wanted) in expected.items() if found != wanted]
    if wrong:
        raise Mismatch(f"Deployment {deployment.pk} of {deployment.model} is not warranted: {', '.join(wrong)} differ.")
    return dict(predicate)
