"""Requests, signatures, orders and dossiers over HTTP, by the same services as the pages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import approvals, lifecycle, promotion, retraining
from governance.dossier import issue
from governance.models import ApprovalRequest, Case, CaseResult, Dossier
from governance.workflow import Stage
from monitoring import runs
from monitoring.api import Alerts, Gate, MonitorRuns, Observations
from registry import policies, versions
from registry.api.access import actor_of
from registry.models import ModelVersion, RegisteredModel
from registry.refusals import Invalid, Unknown
from scoring import decisions, deployments, outcomes

MOST = 200


def _body(request: Request, required: set[str], optional: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    body = request.data
    if not isinstance(body, dict) or not required <= set(body) or set(body) - required - optional:
        raise Invalid(f"Send an object with {', '.join(sorted(required))}; optional: {', '.join(sorted(optional))}.")
    return body


class VersionStage(APIView):
    """Where a version stands: stage, checks, signatures owed."""

    needs = "registry.read"

    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer the stage, each check's verdict with reasons, and who must still sign."""
        version = versions.version_of(name, number)
        facts = lifecycle.facts_of(version)
        found = runs.results(version, policies.in_force(version.model.tier))
        newest = lifecycle.newest_request(version)
        return Response(
            {
                "version": str(version),
                "digest": version.digest,
                "stage": facts.stage,
                "verdict": facts.verdict,
                "checks": {
                    check: {"verdict": row.verdict, "reasons": row.reasons, "measurements": row.measurements}
                    for check, row in found.items()
                },
                "request": newest and str(newest.id),
                "owed": facts.outstanding,
            }
        )


class Standing(APIView):
    """Where versions stand: all of one model, or the newest and what serves of each model that the caller owns."""

    needs = "registry.read"

    def get(self, request: Request) -> Response:
        """Answer models with up to 200 versions each, the newest first: stage, verdict, signatures owed."""
        name = request.query_params.get("model")
        mine = RegisteredModel.objects.filter(owner=actor_of(request)).order_by("name")
        models = [versions.model_named(name)] if name else list(mine[:MOST])
        rows = ModelVersion.objects.filter(model__in=models).select_related("model").order_by("model__name", "-number")
        shown = list(rows[:MOST]) if name else list(rows.distinct("model__name"))
        return Response({"models": _standing(models, shown)})


def _standing(models: Sequence[RegisteredModel], shown: Sequence[ModelVersion]) -> list[dict[str, Any]]:
    facts = lifecycle.facts_of_all(shown)
    champions = deployments.champions().filter(model__in=models)
    serving = {row.model_id: row.package.version.number for row in champions}
    stands = [
        {
            "model": row.model.name,
            "version": row.number,
            "digest": row.digest,
            "registered_at": row.registered_at,
            "stage": facts[row.pk].stage,
            "verdict": facts[row.pk].verdict,
            "owed": facts[row.pk].outstanding if facts[row.pk].stage == Stage.REQUESTED else {},
        }
        for row in shown
    ]
    return [
        {
            "model": model.name,
            "tier": model.tier,
            "serving": serving.get(model.pk),
            "versions": [row for row in stands if row["model"] == model.name],
        }
        for model in models
    ]


class Requests(APIView):
    """Ask for approval of a version with its bands."""

    needs = "governance.request_approval"

    def post(self, request: Request, name: str, number: int) -> Response:
        """Assemble the package and ask that it become champion."""
        body = _body(request, {"bands", "reason"}, {"reasons", "fallback"})
        made = approvals.request(
            version=versions.version_of(name, number), by=actor_of(request), now=timezone.now(), **body
        )
        return Response({"request": made.id, "digest": made.digest, "package": made.package.digest}, status=201)


class Signatures(APIView):
    """Sign or refuse a request."""

    needs = "governance.sign"

    def post(self, request: Request, request_id: UUID) -> Response:
        """Sign: outcome, meaning, reason and the signer's password."""
        body = _body(request, {"outcome", "meaning", "reason", "password"})
        found = ApprovalRequest.objects.filter(pk=request_id).select_related("package__version__model").first()
        if found is None:
            raise Unknown(f"No approval request {request_id} was made.")
        made = approvals.sign(request=found, by=actor_of(request), now=timezone.now(), **body)
        return Response({"signature": made.id, "role": made.role, "digest": made.digest}, status=201)


class Orders(APIView):
    """Order that an approved version serve, or that an earlier one return."""

    needs = "governance.promote"

    def post(self, request: Request, name: str, number: int) -> Response:
        """Order `promote` or `roll back`; the governor executes it within seconds."""
        body = _body(request, {"kind", "reason"})
        kinds = {"promote": promotion.promote, "roll back": promotion.roll_back}
        if not isinstance(body["kind"], str) or body["kind"] not in kinds:
            raise Invalid("kind is `promote` or `roll back`.")
        order = kinds[body["kind"]](
            version=versions.version_of(name, number),
            reason=body["reason"],
            by=actor_of(request),
            now=timezone.now(),
        )
        return Response({"order": order.id}, status=202)


class Dossiers(APIView):
    """Issue a dossier of a decision, a version, a model or a period."""

    needs = "governance.issue_dossier"

    def post(self, request: Request) -> Response:
        """Issue: {decision}, {model, version}, {model}, or {from, until?, model?}; fetch it later by its id."""
        body = _body(request, set(), {"decision", "model", "version", "from", "until"})
        dossier = _issue(body, {"by": actor_of(request), "now": timezone.now()})
        return Response({"dossier": dossier.id, "kind": dossier.kind, "digest": dossier.digest}, status=201)


def _issue(body: dict[str, Any], who: dict[str, Any]) -> Dossier:
    """Issue what a body asks for; each kind of dossier is known by which names are given."""
    given = set(body)
    if given == {"decision"}:
        return issue.for_decision(decision=decisions.by_id(_uuid(body["decision"])), **who)
    if given == {"model", "version"} and isinstance(body["version"], int):
        return issue.for_version(version=versions.version_of(str(body["model"]), body["version"]), **who)
    if given == {"model"}:
        return issue.for_model(model=versions.model_named(str(body["model"])), **who)
    if "from" not in given or given - {"from", "until", "model"}:
        raise Invalid(
            "Send `decision`; `model` and the number of its `version`; `model`; or `from` with `until`, `model`."
        )
    model = versions.model_named(str(body["model"])) if "model" in given else None
    until = _moment(body["until"]) if "until" in given else who["now"]
    return issue.for_period(start=_moment(body["from"]), until=until, model=model, **who)


class DossierArchive(APIView):
    """The archive itself."""

    needs = "governance.issue_dossier"

    def get(self, request: Request, dossier_id: UUID) -> HttpResponse:
        """Answer the zip; 503 with Retry-After while its entries wait for their places in the log."""
        data = issue.archive(issue.by_id(dossier_id))
        headers = {"Content-Disposition": f'attachment; filename="dossier-{dossier_id}.zip"'}
        return HttpResponse(data, content_type="application/zip", headers=headers)


class Cases(APIView):
    """The retraining cases of a model, newest first."""

    needs = "registry.read"

    def get(self, request: Request, name: str) -> Response:
        """Answer each case: its cause, the version it is about, how it ended or how many labels it waits for."""
        model = versions.model_named(name)
        rows = Case.objects.filter(model=model).select_related(
            "model", "result__version", "alert__run__deployment__package__version"
        )
        return Response([_case(row) for row in rows.order_by("-opened_at")[:20]])


def _case(case: Case) -> dict[str, Any]:
    result: CaseResult | None = getattr(case, "result", None)
    have, needed = retraining.labels(case)
    return {
        "labels": have,
        "labels_needed": needed,
        "case": case.id,
        "alert": case.alert_id,
        "about": case.alert.deployment.package.version.number,
        "cause": case.cause,
        "opened_at": case.opened_at,
        "ended": result is not None,
        "version": result.version.number if result and result.version else None,
        "detail": result.detail if result else "",
    }


def _uuid(text: Any) -> UUID:
    try:
        return UUID(str(text))
    except ValueError as error:
        raise Invalid(f"{text!r} is not an identifier of a decision.") from error


def _moment(text: Any) -> datetime:
    found = outcomes.moment(str(text))
    if found is None:
        raise Invalid(f"{text!r} is not a moment in RFC 3339, such as 2026-01-31T12:00:00Z.")
    return found


urlpatterns = [
    path("api/v1/models/<str:name>/versions/<int:number>/stage", VersionStage.as_view()),
    path("api/v1/models/<str:name>/versions/<int:number>/gate", Gate.as_view()),
    path("api/v1/standing", Standing.as_view()),
    path("api/v1/observations", Observations.as_view()),
    path("api/v1/models/<str:name>/versions/<int:number>/requests", Requests.as_view()),
    path("api/v1/models/<str:name>/versions/<int:number>/orders", Orders.as_view()),
    path("api/v1/requests/<uuid:request_id>/signatures", Signatures.as_view()),
    path("api/v1/models/<str:name>/cases", Cases.as_view()),
    path("api/v1/models/<str:name>/alerts", Alerts.as_view()),
    path("api/v1/models/<str:name>/monitor-runs", MonitorRuns.as_view()),
    path("api/v1/dossiers", Dossiers.as_view()),
    path("api/v1/dossiers/<uuid:dossier_id>/archive", DossierArchive.as_view()),
]
