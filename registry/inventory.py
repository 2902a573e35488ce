"""Keep what the inventory says of each model: a new record replaces the one before, which stays on file."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from registry import canonical, ledger, locks, regulations, stewards
from registry.ledger import Event
from registry.models import InventoryRecord, RegisteredModel, User
from registry.refusals import Invalid

ORIGINS = {"own": "Built in-house", "vendor": "From a vendor"}
LONGEST_TEXT, LONGEST_NAME, MOST_ITEMS = 4000, 120, 50
FURTHEST = timedelta(days=3 * 366)
_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_TEXTS = ("business_purpose", "is_model_reason", "ai_act_reason")
_NAMES = ("developer", "validator", "vendor")
_LISTS = ("dependencies", "jurisdictions")
_CHOICES: Mapping[str, Collection[str]] = {"origin": ORIGINS, "ai_act_class": regulations.AI_ACT_CLASSES}
FIELDS = (*_NAMES, *_TEXTS, *_LISTS, *_CHOICES, "is_model", "next_review")

# What an examiner asks for: item in words → whether a record has it. Dependencies may honestly be none.
_ASKED: Mapping[str, Callable[[InventoryRecord], Any]] = {
    "developer": lambda row: row.developer,
    "validator": lambda row: row.validator,
    "business purpose": lambda row: row.business_purpose,
    "model or not": lambda row: row.is_model is not None,
    "vendor or own": lambda row: row.origin,
    "jurisdictions": lambda row: row.jurisdictions,
    "AI Act classification": lambda row: row.ai_act_class not in ("", "undetermined"),
    "next review": lambda row: row.next_review,
}


@transaction.atomic
def record(*, model: RegisteredModel, by: User, now: datetime, **facts: Any) -> InventoryRecord:
    """Record what the inventory says of a model from now on: FIELDS, of which those left out are not evidenced.

    Texts and names are str, `dependencies` and `jurisdictions` lists of str (ISO 3166 codes, or EU), `is_model` bool
    or None, `next_review` a date or None. NotAllowed for who may not, Invalid with every wrong field by its pointer.
    """
    stewards.demand(by, model)
    reasons = list(_wrong(facts, now.date()))
    if reasons:
        raise Invalid("The inventory cannot be kept like this; nothing was recorded.", reasons=reasons)
    locks.hold(f"inventory of {model.id}")
    blank = {**dict.fromkeys((*_NAMES, *_TEXTS, *_CHOICES), ""), **{name: [] for name in _LISTS}}
    row = InventoryRecord(
        model=model, recorded_by=by, recorded_at=now, regulations_as_of=regulations.AS_OF, **{**blank, **facts}
    )
    row.save(force_insert=True)
    said = {"inventory": canonical.digest(said_in(row))}
    ledger.append(Event.INVENTORY_RECORDED, subject=f"model:{model.id}", actor=by.actor, at=now, facts=said)
    return row


def said_in(row: InventoryRecord) -> dict[str, Any]:
    """Return what the entry of a record is the digest of."""
    given = {name: getattr(row, name) for name in FIELDS}
    review = row.next_review.isoformat() if row.next_review else None
    return {
        **given,
        "model": row.model.name,
        "next_review": review,
        "regulations_as_of": row.regulations_as_of.isoformat(),
    }


def newest(models: Collection[RegisteredModel] | None = None) -> dict[UUID, InventoryRecord]:
    """Return the record in force of these models (None: of all), by the model's identifier; one query."""
    rows = InventoryRecord.objects.select_related("model", "recorded_by").order_by("model", "-recorded_at", "-id")
    chosen = rows if models is None else rows.filter(model__in=models)
    return {row.model_id: row for row in chosen.distinct("model")}


def history(model: RegisteredModel) -> list[InventoryRecord]:
    """Return the newest records of a model, that in force first."""
    rows = model.inventory_records.select_related("model", "recorded_by").order_by("-recorded_at", "-id")
    return list(rows[:50])


def missing(row: InventoryRecord | None) -> list[str]:
    """Return in words what an examiner asks for and the record does not say."""
    return [item for item, has in _ASKED.items() if row is None or not has(row)]


def overdue(row: InventoryRecord | None, today: date) -> bool:
    """Say whether the day of the next review has passed."""
    return bool(row and row.next_review and row.next_review < today)


def outdated(row: InventoryRecord | None) -> bool:
    """Say whether the use was classified under an older edition of the regulations than the one held now."""
    return bool(row and row.ai_act_class and row.regulations_as_of < regulations.AS_OF)


def _wrong(facts: Mapping[str, Any], today: date) -> list[dict[str, str]]:
    """Return every objection to these facts, each with the JSON pointer of its field."""
    found = {name: f"{name} is not a field of the inventory." for name in facts if name not in FIELDS}
    found |= {name: reason for name in FIELDS if name in facts and (reason := _kind(name, facts[name]))}
    if not found:
        found = {name: reason for name, reason in _rules(facts, today).items() if reason}
    return [{"pointer": f"/{name}", "detail": reason} for name, reason in found.items()]


def _kind(name: str, value: Any) -> str:
    """Say why a value cannot be this field's."""
    if name in (*_TEXTS, *_NAMES):
        most = LONGEST_TEXT if name in _TEXTS else LONGEST_NAME
        fits = isinstance(value, str) and len(value) <= most and "\0" not in value
        return "" if fits else f"{name} is a text of at most {most} characters."
    if name in _LISTS:
        return _list(name, value)
    if name in _CHOICES:
        known = ", ".join(_CHOICES[name])
        return "" if isinstance(value, str) and value in ("", *_CHOICES[name]) else f"{name} is one of {known}."
    kind = bool if name == "is_model" else date
    fits = value is None or (isinstance(value, kind) and not isinstance(value, datetime))
    return "" if fits else f"{name} is {'true, false' if kind is bool else 'a day such as 2027-03-31'} or null."


def _list(name: str, value: Any) -> str:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        return f"{name} is a list of at most {MOST_ITEMS} texts."
    if not all(isinstance(item, str) and 0 < len(item) <= LONGEST_NAME and item.isprintable() for item in value):
        return f"Each of {name} is a text of 1 to {LONGEST_NAME} printable characters."
    if name == "jurisdictions" and not all(_JURISDICTION.fullmatch(item) for item in value):
        return "A jurisdiction is an ISO 3166 code such as DE, US or US-NY, or EU."
    return ""


def _rules(facts: Mapping[str, Any], today: date) -> dict[str, str]:
    """Return what facts of the right kinds say that cannot stand together, by field."""
    developer, validator = (facts.get(name, "").strip().casefold() for name in ("developer", "validator"))
    review = facts.get("next_review")
    return {
        "validator": "Who validates a model is somebody else than who developed it. Name an independent person."
        if developer and developer == validator
        else "",
        "is_model_reason": _needs(facts.get("is_model") is not None, facts, "is_model_reason", "why it is one or not"),
        "ai_act_reason": _needs(facts.get("ai_act_class"), facts, "ai_act_reason", "why the use is of this class"),
        "vendor": _needs(facts.get("origin") == "vendor", facts, "vendor", "which vendor it comes from"),
        "next_review": f"The next review lies ahead and before {today + FURTHEST}. Choose another day."
        if review and not today <= review <= today + FURTHEST
        else "",
    }


def _needs(asked: Any, facts: Mapping[str, Any], name: str, what: str) -> str:
    return f"Say {what}." if asked and not facts.get(name, "").strip() else ""
