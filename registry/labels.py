"""What is said of models and of their numbers later on: tags, descriptions, free aliases. The newest row counts.

What was said before stays on record: who, when and, of an alias, why and where it pointed at any time.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from registry import canonical, ledger
from registry.ledger import Event
from registry.models import Alias, Description, RegisteredModel, Registration, Tag, User
from registry.refusals import Conflict, Invalid, NotAllowed

SERVING_ALIASES = ("champion", "challenger", "shadow", "canary")
MOVE = "registry.move_alias"
LONGEST_REASON = 1000


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
    facts = {"tag": canonical.digest(tag_record(row))}
    ledger.append(Event.MODEL_TAGGED, subject=_subject(model, registration), actor=by.actor, at=now, facts=facts)


def tag_record(row: Tag) -> dict[str, Any]:
    """Return what the entry of a tag is the digest of."""
    return {"key": row.key, "value": row.value}


def tags_of(model: RegisteredModel, registration: Registration | None = None) -> dict[str, str]:
    """Return the tags of a model or of one of its numbers as they stand."""
    rows = Tag.objects.filter(model=model, registration=registration).order_by("key", "-set_at", "-id").distinct("key")
    return {row.key: row.value for row in rows if row.value is not None}


@transaction.atomic
def describe(
    *, model: RegisteredModel, registration: Registration | None, text: str, by: User, now: datetime
) -> Description:
    """Describe a model or one of its numbers anew; what was said before stays on record."""
    row = Description.objects.create(model=model, registration=registration, text=text, set_by=by, set_at=now)
    facts = {"description": canonical.digest(text)}
    ledger.append(Event.MODEL_DESCRIBED, subject=_subject(model, registration), actor=by.actor, at=now, facts=facts)
    return row


def description_of(model: RegisteredModel, registration: Registration | None = None) -> str:
    """Return the description of a model or of one of its numbers as it stands."""
    newest = Description.objects.filter(model=model, registration=registration).order_by("-set_at", "-id").first()
    return newest.text if newest else (registration or model).description


def descriptions(rows: Iterable[RegisteredModel] | Iterable[Registration], of: str) -> dict[UUID, Description]:
    """Return the newest later description of each, by id, in one query. `of`: "model" or "registration"."""
    found = Description.objects.filter(**{f"{of}__in": list(rows)})
    found = found.filter(registration=None) if of == "model" else found
    return {getattr(row, f"{of}_id"): row for row in found.order_by(of, "-set_at", "-id").distinct(of)}


@transaction.atomic
def alias(
    *,
    model: RegisteredModel,
    name: str,
    registration: Registration | None,
    by: User,
    now: datetime,
    reason: str = "",
) -> None:
    """Point a free alias to a number (None: to nothing), by right of the model's owner or of who may move any.

    Serving aliases mirror deployments and cannot be set.
    """
    if name.lower() in SERVING_ALIASES:
        raise Conflict(f"@{name} mirrors what is deployed and cannot be set. Ask for approval and promote a version.")
    if model.owner_id != by.pk and not by.has_perm(MOVE):
        raise NotAllowed(
            f"The aliases of {model} are moved by its owner, {model.owner.username}, or with the permission {MOVE}, "
            "which operators hold. Ask one of them."
        )
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"A reason has at most {LONGEST_REASON} characters.")
    row = Alias.objects.create(model=model, name=name, registration=registration, reason=reason, set_by=by, set_at=now)
    facts = {
        "alias": canonical.digest(name),
        "version": str(registration.pk) if registration else None,
        "reason": canonical.digest(row.reason),
    }
    ledger.append(Event.MODEL_ALIASED, subject=f"model:{model.id}", actor=by.actor, at=now, facts=facts)


def aliases_of(model: RegisteredModel) -> dict[str, Registration]:
    """Return the free aliases of a model as they stand."""
    rows = alias_history(model).order_by("name", "-set_at", "-id").distinct("name")
    return {row.name: row.registration for row in rows if row.registration}


def alias_history(model: RegisteredModel) -> QuerySet[Alias]:
    """Return every move of every free alias of a model, the newest first: who, when, why, and where to."""
    rows = Alias.objects.filter(model=model).select_related("registration__model", "set_by")
    return rows.order_by("-set_at", "-id")


def alias_at(model: RegisteredModel, name: str, at: datetime) -> Alias | None:
    """Return the move that said what an alias pointed to at a moment; None before its first."""
    return alias_history(model).filter(name=name, set_at__lte=at).first()


def _subject(model: RegisteredModel, registration: Registration | None) -> str:
    return f"version:{registration.pk}" if registration else f"model:{model.id}"
