"""Tags and free aliases of models and of their numbers: the newest row counts, the others are their history."""

from datetime import datetime
from typing import Any

from django.db import transaction

from registry import canonical, ledger
from registry.ledger import Event
from registry.models import Alias, RegisteredModel, Registration, Tag, User
from registry.refusals import Conflict

SERVING_ALIASES = ("champion", "challenger", "shadow", "canary")


@transaction.atomic
def tag(
    *,
    model: RegisteredModel,
    registration: Registration | None,
    key: str,
    value: str | None,
    by: User,
    now: datetime,
) -> None:
    """Set a tag of a model or of one of its numbers (None takes it away); what it was before stays on record."""
    row = Tag.objects.create(model=model, registration=registration, key=key, value=value, set_by=by, set_at=now)
    subject = f"version:{registration.pk}" if registration else f"model:{model.id}"
    facts = {"tag": canonical.digest(tag_record(row))}
    ledger.append(Event.MODEL_TAGGED, subject=subject, actor=by.actor, at=now, facts=facts)


def tag_record(row: Tag) -> dict[str, Any]:
    """Return what the entry of a tag is the digest of."""
    return {"key": row.key, "value": row.value}


def tags_of(model: RegisteredModel, registration: Registration | None = None) -> dict[str, str]:
    """Return the tags of a model or of one of its numbers as they stand."""
    rows = Tag.objects.filter(model=model, registration=registration).order_by("key", "-set_at", "-id").distinct("key")
    return {row.key: row.value for row in rows if row.value is not None}


@transaction.atomic
def alias(*, model: RegisteredModel, name: str, registration: Registration | None, by: User, now: datetime) -> None:
    """Point a free alias to a number (None: to nothing). Serving aliases mirror deployments and cannot be set."""
    if name.lower() in SERVING_ALIASES:
        raise Conflict(f"@{name} mirrors what is deployed and cannot be set. Ask for approval and promote a version.")
    Alias.objects.create(model=model, name=name, registration=registration, set_by=by, set_at=now)
    facts = {"alias": canonical.digest(name), "version": str(registration.pk) if registration else None}
    ledger.append(Event.MODEL_ALIASED, subject=f"model:{model.id}", actor=by.actor, at=now, facts=facts)


def aliases_of(model: RegisteredModel) -> dict[str, Registration]:
    """Return the free aliases of a model as they stand."""
    rows = Alias.objects.filter(model=model).select_related("registration").order_by("name", "-set_at", "-id")
    return {row.name: row.registration for row in rows.distinct("name") if row.registration}
