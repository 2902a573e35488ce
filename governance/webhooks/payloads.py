"""What an event says, read from its entry and the rows that the entry is about: the same each time it is asked.

MLflow's payloads are those of `mlflow.webhooks.types`. Ours name model, version, page and entry, and repeat the entry's
facts, which hold no personal data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse

from governance.webhooks import events
from registry import canonical, labels, ledger
from registry.ledger import Event
from registry.models import Alias, LedgerEntry, ModelVersion, RegisteredModel, Registration, Tag

Payload = dict[str, Any]


@dataclass(frozen=True)
class About:
    """An entry, and the model and the number of it that the entry is about."""

    entry: LedgerEntry
    model: RegisteredModel
    registration: Registration | None

    @property
    def version(self) -> ModelVersion | None:
        """The version under that number, once there is one."""
        return getattr(self.registration, "version", None)


def about(entry: LedgerEntry) -> About | None:
    """Return what an entry is about; None when that is no model."""
    for identifier in ledger.identifiers("version", [entry]):
        found = Registration.objects.select_related("model", "version").filter(pk=identifier).first()
        return About(entry, found.model, found) if found else None
    for identifier in ledger.identifiers("model", [entry]):
        model = RegisteredModel.objects.filter(pk=identifier).first()
        return About(entry, model, None) if model else None
    return None


def of(event: str, entry: LedgerEntry, subject: About | None) -> Payload | None:
    """Return the data of an event; None when the entry means something else, or nothing by this name."""
    if event in events.OURS:
        return _ours(entry, subject)
    return _MLFLOW[event](subject) if subject and event in _MLFLOW else None


def example(event: str) -> Payload:
    """Return data for a test; of MLflow's events the examples that MLflow sends."""
    if event in events.OURS:
        return {"model": "example_model", "version": 1, "facts": {}, "url": settings.PUBLIC_URL, "entry": None}
    return _EXAMPLES.get(event, {"name": "example"})


def page(subject: About) -> str:
    """Return the address of the page that shows what an event is about."""
    if subject.registration:
        return settings.PUBLIC_URL + reverse("version", args=[subject.model.name, subject.registration.number])
    return settings.PUBLIC_URL + reverse("model", args=[subject.model.name])


def _ours(entry: LedgerEntry, subject: About | None) -> Payload:
    leaf = entry.leaf_row  # type: ignore[attr-defined]
    place = {"log": entry.log, "index": leaf.index, "id": str(entry.uuid)}
    return {
        "model": subject and subject.model.name,
        "version": subject and subject.registration and subject.registration.number,
        "subject": entry.subject,
        "facts": ledger.facts_of(entry),
        "url": page(subject) if subject else settings.PUBLIC_URL,
        "entry": place,
    }


def _model(subject: About) -> Payload:
    model = subject.model
    tags = Tag.objects.filter(model=model, registration=None, set_at=model.created_at)
    return {"name": model.name, "tags": _pairs(tags), "description": model.description}


def _version(subject: About) -> Payload | None:
    asked = subject.registration
    pinned = subject.entry.event == Event.VERSION_REGISTERED
    if asked is None or (pinned and subject.entry.at != asked.asked_at):  # it was told of when it was asked for
        return None
    known = {"source": asked.source, "run_id": asked.run_id or None}
    return {**_named(asked), **known, "tags": asked.tags, "description": asked.description or None}


def _tag_set(subject: About) -> Payload | None:
    row = _tag(subject)
    return {**_named(row.registration), "key": row.key, "value": row.value} if row and row.value is not None else None


def _tag_deleted(subject: About) -> Payload | None:
    row = _tag(subject)
    return {**_named(row.registration), "key": row.key} if row and row.value is None else None


def _tag(subject: About) -> Tag | None:
    """Return the row that the entry of a version's tag is about, unless the tag came with the version itself."""
    digest, asked = ledger.facts_of(subject.entry).get("tag"), subject.registration
    if asked is None or subject.entry.at == asked.asked_at:
        return None
    rows = Tag.objects.filter(registration=asked, set_at=subject.entry.at).select_related("registration__model")
    return next((row for row in rows if canonical.digest(labels.tag_record(row)) == digest), None)


def _alias_created(subject: About) -> Payload | None:
    row = _alias(subject)
    return {**_named(row.registration), "alias": row.name} if row and row.registration else None


def _alias_deleted(subject: About) -> Payload | None:
    row = _alias(subject)
    return {"name": subject.model.name, "alias": row.name} if row and row.registration is None else None


def _alias(subject: About) -> Alias | None:
    digest = ledger.facts_of(subject.entry).get("alias")
    rows = Alias.objects.filter(model=subject.model, set_at=subject.entry.at).select_related("registration__model")
    return next((row for row in rows if canonical.digest(row.name) == digest), None)


def _named(registration: Registration | None) -> Payload:
    return {"name": registration.model.name, "version": str(registration.number)} if registration else {}


def _pairs(tags: Any) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags if tag.value is not None}


_MLFLOW: dict[str, Callable[[About], Payload | None]] = {
    "registered_model.created": _model,
    "model_version.created": _version,
    "model_version_tag.set": _tag_set,
    "model_version_tag.deleted": _tag_deleted,
    "model_version_alias.created": _alias_created,
    "model_version_alias.deleted": _alias_deleted,
}
_NAMED = {"name": "example_model", "version": "1"}
_TAGS = {"example_key": "example_value"}
_EXAMPLES: dict[str, Payload] = {
    "registered_model.created": {
        "name": "example_model",
        "tags": _TAGS,
        "description": "An example registered model",
    },
    "model_version.created": {
        **_NAMED,
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        "tags": _TAGS,
        "description": "An example model version",
    },
    "model_version_tag.set": {**_NAMED, "key": "example_key", "value": "example_value"},
    "model_version_tag.deleted": {**_NAMED, "key": "example_key"},
    "model_version_alias.created": {**_NAMED, "alias": "example_alias"},
    "model_version_alias.deleted": {"name": "example_model", "alias": "example_alias"},
}
