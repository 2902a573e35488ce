"""One decision for each row of a request that came in another protocol: all of them, in one transaction, or none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

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
    asked: list[dict[str, Any]] = [
        {"features": row, "request_id": _of_place(request_id, place), "entity": entity}
        for place, (row, entity) in enumerate(zip(rows, who, strict=True))
    ]
    made = [decisions.decide(**asked[0], **told)] if len(asked) == 1 else decisions.decide_many(rows=asked, **told)
    return [api.short(decision) for decision in made]


def _of_place(request_id: str | None, place: int) -> str | None:
    return request_id if request_id is None or place == 0 else f"{request_id}#{place}"
