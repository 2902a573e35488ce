"""Ask for the next version of a model; a worker pins its bytes later, or says why there are none.

The number is given at once, 1, 2, 3 … without a gap, so that a client can name what it waits for. A registration ends
once: pinned (`registry.versions`), `failed` when its bytes were found and are not accepted, or `unverified` when its
source could not be resolved; the last is kept because clients register such sources, and is never checked nor served.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction

from registry import canonical, labels, ledger, locks
from registry.ledger import Event
from registry.models import RegisteredModel, Registration, RegistrationRefusal, User
from registry.models.people import actor

INTAKE = "service:intake"


class Status(StrEnum):
    """Where a registration stands, in MLflow's words."""

    PENDING = "PENDING_REGISTRATION"
    READY = "READY"
    FAILED = "FAILED_REGISTRATION"


class Kind(StrEnum):
    """Why a registration has no bytes."""

    FAILED = "failed"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Standing:
    """The status of a registration, and what there is to say about it."""

    status: Status
    message: str = ""


@transaction.atomic
def ask(
    *,
    model: RegisteredModel,
    source: str,
    by: User,
    now: datetime,
    run_id: str = "",
    logged_model: str = "",
    run_link: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> Registration:
    """Ask for the next version of a model, from files at a source; it waits for a worker from then on."""
    registration = place(
        model=model,
        source=source,
        run_id=run_id,
        logged_model=logged_model,
        run_link=run_link,
        description=description,
        tags=dict(tags or {}),
        by=by,
        now=now,
    )
    facts = {
        "model": model.name,
        "number": registration.number,
        "asked": canonical.digest(record(registration)),
        "description": canonical.digest(description),
    }
    subject = f"version:{registration.pk}"
    ledger.append(Event.VERSION_REQUESTED, subject=subject, actor=by.actor, at=now, facts=facts)
    for key, value in registration.tags.items():
        labels.tag(model=model, registration=registration, key=key, value=value, by=by, now=now)
    return registration


def place(*, model: RegisteredModel, by: User, now: datetime, **said: Any) -> Registration:
    """Give the next number of a model to a registration, in the caller's transaction, which enters it."""
    locks.hold(f"model:{model.id}")
    number = model.registrations.count() + 1
    return Registration.objects.create(model=model, number=number, asked_by=by, asked_at=now, **said)


@transaction.atomic
def refuse(*, registration: Registration, kind: Kind, reason: str, now: datetime) -> RegistrationRefusal:
    """End a registration without a version, and say why; IntegrityError when it has ended already."""
    refusal = RegistrationRefusal(registration=registration, kind=kind, reason=reason, refused_at=now)
    refusal.save(force_insert=True)
    facts = {
        "model": registration.model.name,
        "number": registration.number,
        "kind": kind,
        "reason": canonical.digest(reason),
    }
    subject = f"version:{registration.pk}"
    ledger.append(Event.REGISTRATION_REFUSED, subject=subject, actor=INTAKE, at=now, facts=facts)
    return refusal


def standing(registration: Registration) -> Standing:
    """Say where a registration stands; no query when `version` and `refusal` were selected with it."""
    version, refusal = getattr(registration, "version", None), getattr(registration, "refusal", None)
    if version:
        return Standing(
            Status.READY, f"Kept, but cannot be served: {version.unservable}." if version.unservable else ""
        )
    if refusal and refusal.kind == Kind.UNVERIFIED:
        return Standing(Status.READY, f"Unverified, hence never checked, approved or served: {refusal.reason}")
    if refusal:
        return Standing(Status.FAILED, refusal.reason)
    return Standing(Status.PENDING, "Its files are being fetched, scanned and stored.")


def word(registration: Registration) -> str:
    """Say in one word where a registration without files stands: pending, failed or unverified."""
    refusal = getattr(registration, "refusal", None)
    return refusal.kind if refusal else "pending"


def record(registration: Registration) -> dict[str, Any]:
    """Return what the entry of a request for a version is the digest of."""
    return {
        "model": registration.model.name,
        "number": registration.number,
        "source": registration.source,
        "run_id": registration.run_id,
        "logged_model": registration.logged_model,
        "run_link": registration.run_link,
        "description": canonical.digest(registration.description),
        "tags": registration.tags,
        "asked_by": actor(registration.asked_by_id),
    }
