"""Deploy; the champion; its history. What a deployment's warrant must say is checked here, wherever it is loaded."""

import re
import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from registry import dsse, keys, ledger, packages, policies, versions
from registry.canonical import digest, sha256
from registry.models import Package, RegisteredModel, User
from registry.refusals import Mismatch, Refusal
from registry.tlog import notes
from scoring.events import Event
from scoring.models import Deployment

PREDICATE = "https://countersign.example/warrant/v1"
_DIGEST = re.compile(r"[0-9a-f]{64}")
# What a warrant's predicate says. Bands, reason map and fallback are not named: the package's digest is over them.
FIELDS = {
    "deployment",  # the number of the one row it is for, so that an older warrant does not return by itself
    "model",
    "version",  # digests: of the version,
    "policy",  # of the policy it was judged by,
    "evidence",  # of all check results together,
    "request",
    "request_digest",  # of the request that people signed,
    "signatures",  # of each signature
    "order",
    "ordered_by",
    "plan",
    "issued_at",
}
ALSO = {"results"}  # check → digest of its result, where these fit in a ledger entry; evidence is the digest over them


def next_number() -> int:
    """Return the number of a deployment about to be made: its warrant names it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('scoring_deployment', 'id'))")
        number: int = cursor.fetchone()[0]
    return number


@transaction.atomic
def deploy(
    *, number: int, package: Package, request: uuid.UUID, order: uuid.UUID, warrant: str, by: User, now: datetime
) -> Deployment:
    """Make this package the champion from now on; the database refuses one without the signatures it needs.

    The entry holds the whole warrant, so that the published log alone shows that each deployment was warranted.
    """
    model = package.version.model
    deployment = Deployment.objects.create(
        id=number, model=model, package=package, request=request, order=order, warrant=warrant, made_by=by, made_at=now
    )
    facts = {
        "package": package.digest,
        "version": package.version.digest,
        "request": str(request),
        "order": str(order),
        "warrant": sha256(warrant.encode()),
        "envelope": warrant,
        "deployment": deployment.pk,
    }
    ledger.append(Event.DEPLOYMENT_MADE, subject=f"version:{package.version_id}", actor=by.actor, at=now, facts=facts)
    return deployment


def _with_records() -> QuerySet[Deployment]:
    return Deployment.objects.select_related("model", "package__version__model", "package__policy")


def current(model: RegisteredModel) -> Deployment | None:
    """Return what serves a model: its newest deployment."""
    return _with_records().filter(model=model).order_by("-id").first()


def newest_warranted(model: RegisteredModel) -> Deployment | None:
    """Return the newest deployment of a model whose warrant verifies; whether its model loads is not asked."""
    rows = _with_records().filter(model=model).order_by("-id")
    return next((row for row in rows.iterator(10) if _warranted(row)), None)


def _warranted(deployment: Deployment) -> bool:
    try:
        return bool(verify(deployment))
    except Refusal:
        return False


def serving_aliases(models: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, uuid.UUID]]:
    """Return the aliases that mirror what is deployed: of each of these models that has a champion, its version."""
    newest = Deployment.objects.filter(model__in=models).order_by("model_id", "-id").distinct("model_id")
    return {model: {"champion": version} for model, version in newest.values_list("model_id", "package__version_id")}


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
    """Return the warrant's predicate if it allows exactly this deployment; Mismatch says what does not agree.

    Every column of the deployment is held against what the governor signed, and the records of package, policy and
    version against their digests.
    """
    said = dsse.unseal(deployment.warrant, warrant_key())
    predicate = said.get("predicate")
    if not isinstance(predicate, dict) or not FIELDS <= set(predicate) <= FIELDS | ALSO:
        raise Mismatch(f"The warrant of deployment {deployment.pk} does not say what a warrant says.")
    package, version = deployment.package, deployment.package.version
    expected = {
        "statement": ({**said, "predicate": {}}, statement(package=package, predicate={})),
        "contents of the package": (digest(packages.record(package)), package.digest),
        "manifest of the version": (digest(versions.manifest(version)), version.digest),
        "rules of the policy": (digest(policies.record(package.policy)), package.policy.digest),
        "model of the version": (version.model_id, deployment.model_id),
        **{name: (predicate[name], value) for name, value in _rows(deployment).items()},
        "form of the digests": (_digests(predicate), True),
    }
    wrong = [name for name, (found, wanted) in expected.items() if found != wanted]
    if wrong:
        raise Mismatch(f"Deployment {deployment.pk} of {deployment.model} is not warranted: {', '.join(wrong)} differ.")
    return predicate


def _rows(deployment: Deployment) -> dict[str, Any]:
    """Return what the rows say of the things that a warrant names."""
    package = deployment.package
    return {
        "deployment": deployment.pk,
        "model": deployment.model.name,
        "version": package.version.digest,
        "policy": package.policy.digest,
        "request": str(deployment.request),
        "order": str(deployment.order),
        "ordered_by": User(pk=deployment.made_by_id).actor,
        "issued_at": deployment.made_at.astimezone(UTC).isoformat(),
    }


def _digests(predicate: dict[str, Any]) -> bool:
    """Say whether evidence and signatures are named by digests, and the results are those that evidence is over."""
    signatures, results = predicate["signatures"], predicate.get("results")
    if not isinstance(signatures, list) or not signatures:
        return False
    named = [predicate["evidence"], predicate["request_digest"], *signatures]
    formed = all(isinstance(item, str) and _DIGEST.fullmatch(item) for item in named)
    return formed and len(set(named)) == len(named) and (results is None or digest(results) == predicate["evidence"])
