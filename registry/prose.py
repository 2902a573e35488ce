"""Keep what the author says of a version in its model card: the only part of a card that somebody types."""

from datetime import datetime
from typing import Any

from django.db import transaction

from registry import canonical, ledger, stewards
from registry.ledger import Event
from registry.models import ModelVersion, Prose, User
from registry.refusals import Invalid

PARTS = {
    "intended_use": "Intended use",
    "limits": "Limits",
    "out_of_scope": "Out-of-scope use",
    "ethics": "Ethical considerations",
}
LONGEST = 8000


@transaction.atomic
def write(*, version: ModelVersion, by: User, now: datetime, **parts: str) -> Prose:
    """Write the prose of a version anew; parts left out are not evidenced. NotAllowed for who may not."""
    stewards.demand(by, version.model, version)
    reasons = [{"pointer": f"/{name}", "detail": reason} for name, reason in _wrong(parts).items()]
    if reasons or not any(text.strip() for text in parts.values()):
        raise Invalid("Write at least one part of the card; nothing was recorded.", reasons=reasons)
    row = Prose.objects.create(version=version, written_by=by, written_at=now, **parts)
    facts = {"prose": canonical.digest(said_in(row))}
    ledger.append(Event.CARD_WRITTEN, subject=f"version:{version.id}", actor=by.actor, at=now, facts=facts)
    return row


def said_in(row: Prose) -> dict[str, Any]:
    """Return what the entry of a prose is the digest of."""
    return {"of": row.version.digest, **{name: getattr(row, name) for name in PARTS}}


def of(version: ModelVersion) -> Prose | None:
    """Return the prose that holds for a version: its own, else that of the newest version before it."""
    rows = Prose.objects.filter(version__model=version.model_id, version__number__lte=version.number)
    rows = rows.select_related("version", "written_by")
    return rows.order_by("-version__number", "-written_at", "-id").first()


def history(version: ModelVersion) -> list[Prose]:
    """Return what was written for a version, newest first."""
    return list(version.prose.select_related("version", "written_by").order_by("-written_at", "-id")[:50])


def _wrong(parts: dict[str, Any]) -> dict[str, str]:
    found = {name: f"{name} is not a part of a card. Parts are {', '.join(PARTS)}." for name in parts.keys() - PARTS}
    for name, text in parts.items():
        if not isinstance(text, str) or len(text) > LONGEST or "\0" in text:
            found[name] = f"{name} is a text of at most {LONGEST:,} characters."
    return found
