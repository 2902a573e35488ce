"""One decision for each row of a request that came in another protocol: all of them, in one transaction, or none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from registry.models import User
from registry.refusals import Invalid
from scoring import api, committing, decisions
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
    rows get the same decisions; other ones, or another number of them, are Invalid. `entities`: one for each row, or
    none at all.
    """
    who = entities or [""] * len(rows)
    if len(who) != len(rows):
        raise Invalid(f"There are {len(who)} entities for {len(rows)} rows.")
    told: dict[str, Any] = {"name": name, "by": by, "now": now, "version": version}
    if len(rows) == 1:
        return [api.short(decisions.decide(features=rows[0], request_id=request_id, entity=who[0], **told))]
    committing.take_time()
    ids = [_of_place(request_id, place) for place in range(len(rows))]
    if request_id is not None:
        _demand_unchanged(request_id, decisions.taken(name, [*ids, _of_place(request_id, len(ids))], now=now), set(ids))
    asked = [{"features": row, "request_id": one, "entity": of} for row, one, of in zip(rows, ids, who, strict=True)]
    return [api.short(decision) for decision in decisions.decide_many(rows=asked, **told)]


def _of_place(request_id: str | None, place: int) -> str | None:
    return request_id if request_id is None or place == 0 else f"{request_id}#{place}"


def _demand_unchanged(request_id: str, taken: set[str], ids: set[str | None]) -> None:
    if taken and taken != ids:
        raise Invalid(f"The id {request_id[:100]!r} was used for another number of rows. Use a new one.")
