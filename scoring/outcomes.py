"""Record the truth about decisions as it becomes known."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.dateparse import parse_datetime

from registry import canonical, ledger
from registry.ids import uuid7
from registry.models import User
from registry.refusals import Conflict, Invalid, Unknown
from scoring import commitments
from scoring.events import Event
from scoring.models import Decision, Outcome

MOST = 1000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # what is long before it, nobody can read back from the database


def record(*, outcomes: Sequence[Mapping[str, Any]], by: User, now: datetime) -> int:
    """Record outcomes {decision, label, source, observed_at}, all or none; repeats are counted once.

    Returns how many were new.
    """
    if not isinstance(outcomes, list) or not 0 < len(outcomes) <= MOST:
        raise Invalid(f"Send a list of 1 to {MOST} outcomes.")
    parsed = [_parse(item, place, now) for place, item in enumerate(outcomes)]
    named = Decision.objects.filter(pk__in={row.decision_id for row in parsed})
    known = dict(named.values_list("pk", "deployment_id"))
    strange = [str(row.decision_id) for row in parsed if row.decision_id not in known]
    if strange:
        raise Unknown(f"No decision {strange[0]} is on record ({len(strange)} of {len(parsed)} are unknown).")
    # Whoever follows outcomes by (transaction, id) meets a correction after what it corrects.
    in_time = sorted(parsed, key=lambda row: row.observed_at)
    for row, identity in zip(in_time, sorted(uuid7() for _ in parsed), strict=True):
        row.id, row.deployment_id = identity, known[row.decision_id]
        row.salt, row.recorded_by, row.recorded_at = commitments.salt(), by, now
    return _add(parsed, by, now)


def said(outcome: Outcome) -> bytes:
    """Return the canonical bytes of what was reported: what the ledger commits to."""
    observed = outcome.observed_at.astimezone(UTC).isoformat()
    return canonical.dump({"label": outcome.label, "source": outcome.source, "observed_at": observed})


def commitment(outcome: Outcome) -> str:
    """Return the commitment under which an outcome is entered."""
    return commitments.commit("outcome", bytes(outcome.salt), said(outcome))


def _parse(item: Mapping[str, Any], place: int, now: datetime) -> Outcome:
    def wrong(name: str, detail: str) -> Invalid:
        return Invalid(
            f"Outcome {place} has a wrong {name}.",
            reasons=[{"pointer": f"#/outcomes/{place}/{name}", "detail": detail}],
        )

    if not isinstance(item, Mapping):
        raise wrong("form", "an outcome is an object of decision, label, source, observed_at")
    try:
        decision = UUID(str(item.get("decision")))
    except ValueError as error:
        raise wrong("decision", "the decision_id of an answer") from error
    if isinstance(item.get("label"), bool) or item.get("label") not in (0, 1):
        raise wrong("label", "1 when the adverse event happened, else 0")
    source = item.get("source")
    if not isinstance(source, str) or not 0 < len(source) <= 60 or not source.isprintable():
        raise wrong("source", "who says so, in 1 to 60 characters")
    observed = moment(str(item.get("observed_at")))
    if observed is None or not EARLIEST <= observed <= now:
        raise wrong("observed_at", "a moment from 1970 until now in RFC 3339, such as 2026-01-31T12:00:00Z")
    return Outcome(decision_id=decision, label=item["label"], source=source, observed_at=observed)


def moment(text: str) -> datetime | None:
    """Return the moment in UTC that a text of RFC 3339 with an offset says; None for any other text."""
    try:
        found = parse_datetime(text)
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None


@transaction.atomic
def _add(rows: list[Outcome], by: User, now: datetime) -> int:
    # In one order for everybody: two requests that bring the same outcomes wait for each other, never both ways.
    Outcome.objects.bulk_create(sorted(rows, key=_key), ignore_conflicts=True)
    stored = Outcome.objects.filter(decision__in={row.decision_id for row in rows})
    known = {_key(row): row for row in stored}
    for row in rows:
        if known[_key(row)].label != row.label:
            raise Conflict(
                f"{row.source} said {known[_key(row)].label} about decision {row.decision_id} at that moment. A "
                "correction is an outcome observed later: send it with the moment it became known."
            )
    new = [row for row in rows if known[_key(row)].pk == row.pk]
    about = [(f"decision:{row.decision_id}", {"outcome": commitment(row)}) for row in new]
    ledger.append_all(
        Event.OUTCOME_RECORDED,
        about=about,
        actor=by.actor,
        at=now,
        log=ledger.DECISIONS,
        identities=[row.id for row in new],
    )
    return len(new)


def _key(row: Outcome) -> tuple[UUID, str, datetime]:
    """Return what makes an outcome one and the same."""
    return row.decision_id, row.source, row.observed_at
