"""What is told of decisions afterwards: POST of one outcome, of overrides, one or many."""

from typing import Any
from uuid import UUID

from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.access import actor_of
from registry.refusals import Invalid
from scoring import outcomes, overrides


class Outcome(APIView):
    """The truth about one decision."""

    needs = "scoring.record_outcome"

    def post(self, request: Request, decision_id: UUID) -> Response:
        """Record an outcome {label, source, observed_at}; `new` is 0 when it is on record already."""
        told = _one(request, decision_id)
        new = outcomes.record(outcomes=[told], by=actor_of(request), now=timezone.now())
        return Response({"decision_id": decision_id, "new": new}, status=201)


class Override(APIView):
    """That a person decided otherwise than one decision said."""

    needs = "scoring.override"

    def post(self, request: Request, decision_id: UUID) -> Response:
        """Record an override {action, reason_code, text, person, source, decided_at}, as Outcome does."""
        told = _one(request, decision_id)
        new = overrides.record(overrides=[told], by=actor_of(request), now=timezone.now())
        return Response({"decision_id": decision_id, "new": new}, status=201)


class Overrides(APIView):
    """That people decided otherwise, in bulk."""

    needs = "scoring.override"

    def post(self, request: Request) -> Response:
        """Record up to 1,000 overrides, each with its `decision`, all or none."""
        body = request.data
        if not isinstance(body, dict) or set(body) != {"overrides"}:
            raise Invalid("Send an object with `overrides`, a list.")
        new = overrides.record(overrides=body["overrides"], by=actor_of(request), now=timezone.now())
        return Response({"received": len(body["overrides"]), "new": new}, status=201)


def _one(request: Request, decision_id: UUID) -> dict[str, Any]:
    """Return what is told of the decision of the address."""
    body = request.data
    if not isinstance(body, dict) or "decision" in body:
        raise Invalid("Send an object without `decision`: the address names it.")
    return {**body, "decision": str(decision_id)}


routes = [
    path("api/v1/decisions/<uuid:decision_id>/outcome", Outcome.as_view()),
    path("api/v1/decisions/<uuid:decision_id>/overrides", Override.as_view()),
    path("api/v1/overrides", Overrides.as_view()),
]
