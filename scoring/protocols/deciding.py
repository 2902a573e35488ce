"""One decision for each row of a request that came in another protocol: all of them, in one transaction, or none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from registry.models import User
from registry.refusals import Invalid
from scoring import api, decisions
from scoring.protocols.rows import Row


def decide(
    *,
    name: str,
    rows: Sequence[Row],
    by: User,
    now: datetime,
    request_id: str | None = None,
    entities: Sequence[str] = (),
    version: int | None = None,
) -> list[dict[str, Any]]:
    """Return what was decided on each row, in order.

    Under one `request_id` the first row has that id itself, and the row at place n has `id#n`: sent again, the same
    rows get the same decisions; other ones are Invalid. `entities`: one for each row, or none at all.
    """
    who = entities or [""] * len(rows)
    if len(who) != len(rows):
        raise Invalid(f"There are {len(who)} entities for {len(rows)} rows.")
    told: dict[str, Any] = {"name": name, "by": by, "now": now, "version": version}
    if len(rows) == 1:
        return [api.short(decisions.decide(features=rows[0], request_id=request_id, entity=who[0], **told))]
    with transaction.atomic():
        return [
            _of_many(place, features=row, request_id=_of_place(request_id, place), entity=entity, **told)
            for place, (row, entity) in enumerate(zip(rows, who, strict=True))
        ]


def _of_many(place: int, **told: Any) -> dict[str, Any]:
    try:
        return api.short(decisions.decide(**told))
    except Invalid as refusal:
        raise Invalid(f"Row {place}: {refusal.detail} Nothing was recorded.", reasons=refusal.reasons) from refusal


def _of_place(request_id: str | None, place: int) -> str | None:
    return request_id if request_id is None or place == 0 else f"{request_id}#{place}"
