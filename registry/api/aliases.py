"""/api/v1/models/<name>/aliases/<alias>: what a free alias points to, pointed to at any time, and why it was moved."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import labels, versions
from registry.api.access import actor_of
from registry.api.mlflow.aliases import free, may_move
from registry.api.mlflow.errors import READ, WRITE
from registry.models import Alias as Move
from registry.refusals import Invalid, Unknown

_MOST = 200  # moves that are answered


class Alias(APIView):
    """One free alias of a model."""

    needs = {"GET": READ, "PUT": (WRITE, labels.MOVE)}

    def get(self, request: Request, name: str, alias: str) -> Response:
        """Answer what it points to, or did at the moment `at` (ISO 8601 with a time zone), and its moves until then."""
        model, at = versions.model_named(name), _moment(request.query_params.get("at", ""))
        moves = labels.alias_history(model).filter(name=alias, set_at__lte=at)[:_MOST]
        if not moves:
            raise Unknown(f"{model} had no alias {alias} at {at.isoformat()}. Free aliases have history, serving ones "
                          "are told by deployments.")  # fmt: skip
        return Response({"model": model.name, "alias": alias, **_move(moves[0]), "history": [_move(m) for m in moves]})

    def put(self, request: Request, name: str, alias: str) -> Response:
        """Move it: {"version": a number or null, "reason": why}."""
        body, model = request.data, versions.model_named(name)
        may_move(request, model)
        number, reason = (body.get("version"), body.get("reason")) if isinstance(body, dict) else (0, None)
        if (
            not _whole(number)
            or not isinstance(reason, str)
            or not reason.strip()
            or set(body) != {"version", "reason"}
        ):
            raise Invalid("Send an object with version (a number, or null for nothing) and reason (why it is moved).")
        to = None if number is None else versions.registration_of(model.name, number)
        by, now = actor_of(request), timezone.now()
        labels.alias(model=model, name=free(alias), registration=to, reason=reason.strip(), by=by, now=now)
        return self.get(request, name, alias)


def _whole(number: Any) -> bool:
    return number is None or (isinstance(number, int) and not isinstance(number, bool) and number > 0)


def _moment(text: str) -> datetime:
    """Return the moment that is asked about: now, or a text's, whose plus sign an address may have made a space."""
    if not text:
        return timezone.now()
    try:
        found = parse_datetime(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Invalid("`at` is a moment in ISO 8601 with its time zone, such as 2026-03-01T12:00:00Z.")
    return found


def _move(row: Move) -> dict[str, Any]:
    return {
        "version": row.registration.number if row.registration else None,
        "set_by": row.set_by.username,
        "set_at": row.set_at,
        "reason": row.reason,
    }
