"""POST …/score, GET and outcomes of decisions."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.access import actor_of, holds
from registry.api.direct import Direct
from registry.refusals import Invalid, TooLarge
from scoring import asking, decisions, outcomes, overrides
from scoring.models import Decision

INVESTIGATE = "scoring.investigate"


class Score(Direct):
    """Ask the champion of a model for a decision."""

    needs = "scoring.score"

    def post(self, request: Request, name: str) -> Response:
        """Answer score, band, reasons and the decision's id; what is answered is on record.

        Without a score, `fallback` says why, and the band is the one that the package's signers chose for that.
        """
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.SCORE_BODY_LIMIT:
            raise TooLarge(f"A request for one score has at most {settings.SCORE_BODY_LIMIT} bytes.")
        body = request.data
        if not isinstance(body, dict) or set(body) - asking.FIELDS or "features" not in body:
            raise Invalid("Send an object with `features`, and if you like `request_id`, `entity`, `attributes`.")
        decision = decisions.decide(
            name=name,
            features=body["features"],
            request_id=body.get("request_id"),
            entity=body.get("entity", ""),
            attributes=body.get("attributes"),
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response(short(decision))


class ScoreBatch(APIView):
    """Ask the champion of a model for many decisions at once."""

    needs = "scoring.score"
    body_limit = settings.BATCH_BODY_LIMIT

    def post(self, request: Request, name: str) -> Response:
        """Answer 1 to 1,000 rows in their order, all or none; what is answered is on record."""
        body = request.data
        if not isinstance(body, dict) or set(body) != {"rows"}:
            raise Invalid("Send an object with `rows`, a list of what is sent for one score each.")
        made = decisions.decide_many(name=name, rows=body["rows"], by=actor_of(request), now=timezone.now())
        return Response({"decisions": [short(decision) for decision in made]})


class DecisionDetail(APIView):
    """One decision as it was recorded."""

    needs = "registry.read"

    def get(self, request: Request, decision_id: UUID) -> Response:
        """Answer inputs, answer, version and what followed; to investigators every reason, in their own words.

        `answer` is what was answered then; an explanation that was deferred and has come stands beside it.
        """
        decision = decisions.by_id(decision_id)
        full = decisions.explained(decision)
        told = {"investigation": decisions.investigated(decision, full)} if holds(request, INVESTIGATE) else {}
        parts = ("margin", "base", "link", "features", "attributions")
        late = {name: full[name] for name in parts if name in full} if decision.owes_explanation else {}
        return Response(
            {
                **short(decision, full),
                **told,
                **decisions.inputs_of(decision),
                **late,
                "answer": decisions.answer_of(decision),
                "package": decision.deployment.package.digest,
                "outcomes": list(decision.outcomes.values("label", "source", "observed_at", "recorded_at")),
                "overrides": list(decision.overrides.order_by("decided_at").values(*overrides.TOLD)),
            }
        )


class Outcomes(APIView):
    """The truth about decisions, in bulk."""

    needs = "scoring.record_outcome"

    def post(self, request: Request) -> Response:
        """Record up to 1,000 outcomes, all or none."""
        body = request.data
        if not isinstance(body, dict) or set(body) != {"outcomes"}:
            raise Invalid("Send an object with `outcomes`, a list.")
        new = outcomes.record(outcomes=body["outcomes"], by=actor_of(request), now=timezone.now())
        return Response({"received": len(body["outcomes"]), "new": new}, status=201)


def short(decision: Decision, answer: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a decision says to whom it was made for. `answer`: with what was explained later."""
    answer = answer or decisions.answer_of(decision)
    version = decision.deployment.package.version
    return {
        "decision_id": decision.id,
        "model": version.model.name,
        "version": version.number,
        "score": answer["score"],
        "band": answer["band"],
        "action": answer["action"],
        "reasons": decisions.reasons_of(decision, answer),
        **({"out_of_range": answer["out_of_range"]} if "out_of_range" in answer else {}),
        **({"explanation": answer["explanation"]} if "explanation" in answer else {}),
        "fallback": answer.get("fallback"),
        "at": decision.at,
    }
