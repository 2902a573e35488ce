"""Record that people decided otherwise than a decision said: who, what is done instead, why, when; each once."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from registry import canonical, ledger
from registry.models import User
from registry.refusals import Conflict, Invalid, Unknown
from scoring import commitments
from scoring.events import Event
from scoring.models import Decision, Override
from scoring.outcomes import EARLIEST, moment

MOST = 1000
LONGEST = 2000  # characters of the text that says why
FIELDS = ("decision", "action", "reason_code", "text", "person", "source", "decided_at")
TOLD = (*FIELDS[1:], "recorded_at")  # of an override, to those who may read its decision
_TEXTS = {
    "action": (200, "one of the actions of the package that answered"),
    "reason_code": (60, "the code of the reason, in 1 to 60 characters"),
    "person": (100, "who decided, in 1 to 100 characters"),
    "source": (60, "which system says so, in 1 to 60 characters"),
}


def record(*, overrides: Sequence[Mapping[str, Any]], by: User, now: datetime) -> int:
    """Record overrides {decision, action, reason_code, text, person, source, decided_at}, all or none.

    `person` is the caller where nobody is named, `text` may be left out. What came before, by decision, source and
    moment, is counted once, and is Conflict when it said something else. Returns how many were new.
    """
    if not isinstance(overrides, list) or not 0 < len(overrides) <= MOST:
        raise Invalid(f"Send a list of 1 to {MOST} overrides.")
    parsed = [_parse(item, place, by, now) for place, item in enumerate(overrides)]
    rows = Decision.objects.filter(pk__in={row.decision_id for row in parsed})
    bands = rows.values_list("pk", "deployment__package__bands")
    known = {identity: [band["action"] for band in some] for identity, some in bands}
    for place, row in enumerate(parsed):
        if row.decision_id not in known:
            raise Unknown(f"No decision {row.decision_id} is on record. Nothing of this request was recorded.")
        if row.action not in known[row.decision_id]:
            raise _wrong(place, "action", f"one of {', '.join(known[row.decision_id])}")
        row.salt, row.recorded_by, row.recorded_at = commitments.salt(), by, now
    return _add(parsed, by, now)


def said(override: Override) -> bytes:
    """Return the canonical bytes of what was decided: what the ledger commits to."""
    told = {name: getattr(override, name) for name in ("action", "reason_code", "person", "source")}
    decided = override.decided_at.astimezone(UTC).isoformat()
    text = canonical.sha256(override.text.encode())
    return canonical.dump({**told, "decision": str(override.decision_id), "text": text, "decided_at": decided})


def commitment(override: Override) -> str:
    """Return the commitment under which an override is entered."""
    return commitments.commit("override", bytes(override.salt), said(override))


def _wrong(place: int, name: str, detail: str) -> Invalid:
    reasons = [{"pointer": f"#/overrides/{place}/{name}", "detail": detail}]
    return Invalid(f"Override {place} has a wrong {name}: send {detail}.", reasons=reasons)


def _parse(item: Mapping[str, Any], place: int, by: User, now: datetime) -> Override:
    if not isinstance(item, Mapping) or set(item) - set(FIELDS):
        raise _wrong(place, "form", f"an object of {', '.join(FIELDS)}")
    try:
        decision = UUID(str(item.get("decision")))
    except ValueError as error:
        raise _wrong(place, "decision", "the decision_id of an answer") from error
    told = {"person": by.get_username(), **item}
    for name, (most, detail) in _TEXTS.items():
        if not _is_text(told.get(name), most):
            raise _wrong(place, name, detail)
    text = told.get("text", "")
    if not isinstance(text, str) or len(text) > LONGEST or "\0" in text:
        raise _wrong(place, "text", f"at most {LONGEST} characters that say why")
    decided = moment(str(told.get("decided_at")))
    if decided is None or not EARLIEST <= decided <= now:
        raise _wrong(place, "decided_at", "a moment from 1970 until now in RFC 3339, such as 2026-01-31T12:00:00Z")
    kept = {name: told[name] for name in _TEXTS}
    return Override(decision_id=decision, text=text, decided_at=decided, **kept)


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most and value.isprintable()


@transaction.atomic
def _add(rows: list[Override], by: User, now: datetime) -> int:
    # In one order for everybody: two requests that bring the same overrides wait for each other, never both ways.
    Override.objects.bulk_create(sorted(rows, key=_key), ignore_conflicts=True)
    stored = Override.objects.filter(decision__in={row.decision_id for row in rows})
    known = {_key(row): row for row in stored}
    for row in rows:
        if said(known[_key(row)]) != said(row):
            raise Conflict(
                f"{row.source} said something else about decision {row.decision_id} at that moment. "
                "A change of mind is an override of its own: send it with the moment it was made."
            )
    new = [row for row in rows if known[_key(row)].pk == row.pk]
    ledger.append_all(
        Event.OVERRIDE_RECORDED,
        about=[(f"decision:{row.decision_id}", {"override": commitment(row)}) for row in new],
        actor=by.actor,
        at=now,
        log=ledger.DECISIONS,
        identities=[row.id for row in new],
    )
    return len(new)


def _key(row: Override) -> tuple[UUID, str, datetime]:
    """Return what makes an override one and the same."""
    return row.decision_id, row.source, row.decided_at
