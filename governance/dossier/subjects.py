"""What a dossier of a version, a decision or a model holds: records by the digests that the log names, and entries."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from governance import approvals
from governance.dossier.contents import Contents
from governance.models import ApprovalRequest, Case, Signature
from monitoring import runs
from monitoring.models import CheckResult, Disposition
from registry import (
    canonical,
    datasets,
    inventory,
    labels,
    ledger,
    packages,
    policies,
    prose,
    registrations,
    versions,
)
from registry.models import Description, ModelVersion, Package, Policy, RegisteredModel, Registration
from scoring import decisions, explaining, outcomes, overrides
from scoring.models import Decision, Deployment, Explanation, RefusedLoad


def of_version(version: ModelVersion) -> Contents:
    """Collect everything about a version."""
    contents = Contents("version", f"{version}")
    add_registration(contents, version.registration)
    return contents.finished()


def of_decision(decision: Decision) -> Contents:
    """Collect a decision and everything about the version that made it."""
    version = decision.deployment.package.version
    contents = Contents("decision", f"decision {decision.id} by {version}")
    add_registration(contents, version.registration)
    entries = list(decisions.entries(decision))
    contents.enter(entries)
    parts = {"inputs": (decision.inputs, decision.inputs_salt), "answer": (decision.answer, decision.answer_salt)}
    said = {fact for entry in entries for fact in ledger.facts_of(entry).values()}
    for kind, service, rows in (("outcome", outcomes, decision.outcomes), ("override", overrides, decision.overrides)):
        for row in rows.all():  # one recorded a moment later belongs to a later dossier
            if service.commitment(row) in said:
                parts[f"{kind}/{row.id}"] = (service.said(row), row.salt)
    for explanation in Explanation.objects.filter(decision=decision):
        if explaining.commitment(explanation) in said:
            parts["explanation"] = (explanation.content, explanation.salt)
    for part, (data, _) in parts.items():
        contents.files[f"decision/{part}.json"] = bytes(data)
    contents.files["decision/salts.json"] = canonical.dump(
        {part: bytes(salt).hex() for part, (_, salt) in parts.items()}
    )
    return contents.finished()


def of_model(model: RegisteredModel) -> Contents:
    """Collect a model: each of its versions, what served, alerts and their answers, cases, the policies of its tier."""
    contents = Contents("model", f"model {model}")
    contents.enter(ledger.about([f"model:{model.id}"]))
    for registration in model.registrations.order_by("number"):
        add_registration(contents, registration)
    add_model(contents, model)
    return contents.finished()


def add_model(contents: Contents, model: RegisteredModel) -> None:
    """Add what a model's own entries, as far as they were collected, name: policies, tags, and what people wrote."""
    contents.enter(ledger.about([f"model:{model.id}"]).filter(event=ledger.Event.MODEL_REGISTERED))
    _add_policies(contents, model)
    named = contents.named()
    if model.description:
        contents.record("description", model.description)
    for kind, value in _said(model):
        if canonical.digest(value) in named:
            contents.record(kind, value)
    for kind, text in _written(model):
        if canonical.sha256(text.encode()) in named:
            contents.text(kind, text)


def _said(model: RegisteredModel) -> Iterator[tuple[str, Any]]:
    """Yield what was said of a model itself, by the kind of its record."""
    for text in _described_later(model.descriptions.filter(registration=None)):
        yield "description", text
    for tag in model.tags.filter(registration=None):
        yield "tag", labels.tag_record(tag)
    for row in model.inventory_records.select_related("model"):
        yield "inventory", inventory.said_in(row)
    for refused in RefusedLoad.objects.filter(deployment__model=model):
        yield "reason", refused.reason


def _described_later(rows: QuerySet[Description]) -> Iterator[str]:
    return rows.exclude(text="").values_list("text", flat=True).iterator()


def _written(model: RegisteredModel) -> Iterator[tuple[str, str]]:
    """Yield what people and the retraining wrote about a model's alerts and cases, by the kind of its record."""
    for answer in Disposition.objects.filter(alert__model=model):
        yield "answer", answer.text
    for case in Case.objects.filter(model=model).select_related("result"):
        yield "cause", case.cause
        if hasattr(case, "result"):
            yield "detail", case.result.detail


def _add_policies(contents: Contents, model: RegisteredModel) -> None:
    """Add every policy of the model's tier: which one was in force when is told by the order of their entries."""
    adopted = Policy.objects.filter(tier=model.tier)
    for policy in adopted:
        contents.record("policy", policies.record(policy))
    contents.enter(ledger.about(f"policy:{policy.digest}" for policy in adopted))


def add_registration(contents: Contents, registration: Registration) -> None:
    """Add everything about a number of a model: what was asked for, how it ended, and if in a version, all of that."""
    contents.enter(ledger.about([f"version:{registration.pk}"]))
    contents.enter(ledger.about([f"model:{registration.model_id}"]).filter(event=ledger.Event.MODEL_REGISTERED))
    asked = registrations.record(registration)
    if canonical.digest(asked) in contents.named():
        contents.record("registration", asked)
    later = _described_later(registration.descriptions.all())
    for text in filter(None, (registration.model.description, registration.description, *later)):
        contents.record("description", text)
    for tag in registration.tag_rows.all():
        contents.record("tag", labels.tag_record(tag))
    if hasattr(registration, "refusal"):
        contents.record("reason", registration.refusal.reason)
    _add_policies(contents, registration.model)
    if hasattr(registration, "version"):
        _add_pinned(contents, registration.version)


def _add_pinned(contents: Contents, version: ModelVersion) -> None:
    contents.record("version", versions.manifest(version))
    for written in version.prose.select_related("version"):
        contents.record("prose", prose.said_in(written))
    _add_datasets(contents, version)
    for package in Package.objects.filter(version=version).select_related("policy", "version"):
        contents.record("package", packages.record(package))
    for result in CheckResult.objects.filter(run__version=version).select_related("run__version", "run__policy"):
        contents.record("result", runs.record(result))
    for request in ApprovalRequest.objects.filter(package__version=version).select_related(
        "package__policy", "requested_by"
    ):
        contents.record("request", approvals.record(request))
    for signature in Signature.objects.filter(request__package__version=version).select_related("signer"):
        contents.record("signature", approvals.signature_record(signature))
    for deployment in Deployment.objects.filter(package__version=version):
        contents.files[f"warrants/{deployment.pk}.json"] = deployment.warrant.encode()


def _add_datasets(contents: Contents, version: ModelVersion) -> None:
    found: set[Any] = {dataset for role in versions.DATA_ROLES if (dataset := getattr(version, role))}
    for dataset in found:
        contents.record("dataset", datasets.record(dataset))
    contents.enter(ledger.about(f"dataset:{dataset.digest}" for dataset in found))
