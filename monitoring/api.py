"""Gates, alerts and monitor runs over HTTP."""

from typing import Any

from django.db.models import F
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring import bell, gate, observing, runs
from monitoring.models import Alert, MonitorRun
from registry import policies, versions
from registry.api.access import actor_of
from registry.models import ModelVersion, Policy, RegisteredModel
from registry.refusals import Conflict

MOST = 100


class Alerts(APIView):
    """The alerts of a model, newest first."""

    needs = "registry.read"

    def get(self, request: Request, name: str) -> Response:
        """Answer up to 100 alerts: the number of the version each is about, and whether somebody answered it."""
        rows = Alert.objects.filter(model=versions.model_named(name)).order_by("-raised_at")
        deployed = [f"{cause}__deployment__package__version" for cause in ("run", "refused")]
        shown = rows.select_related("disposition", *deployed).defer("run__evidence")[:MOST]
        return Response(
            [
                {
                    "alert": row.id,
                    "kind": row.kind,
                    "detail": row.detail,
                    "run": row.run_id,
                    "about": row.deployment.package.version.number,
                    "raised_at": row.raised_at,
                    "answered": hasattr(row, "disposition"),
                }
                for row in shown
            ]
        )


class MonitorRuns(APIView):
    """The monitor runs of a model, newest first."""

    needs = "registry.read"

    def get(self, request: Request, name: str) -> Response:
        """Answer up to 100 runs with verdicts and measurements, and the number of the version each is about."""
        rows = MonitorRun.objects.filter(deployment__model=versions.model_named(name)).order_by("-performed_at")
        fields = (
            "id",
            "monitor",
            "window_start",
            "window_end",
            "decisions",
            "verdict",
            "reasons",
            "measurements",
        )
        return Response(list(rows.values(*fields, about=F("deployment__package__version__number"))[:MOST]))


class Gate(APIView):
    """The gate of a version under the policy in force: GET shows it, POST opens the checks that it still owes."""

    needs = {"GET": "registry.read", "POST": "registry.register_version"}

    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer each check with every line of the policy held against what was measured."""
        version = versions.version_of(name, number)
        return Response(_gate(version, policies.in_force(version.model.tier)))

    def post(self, request: Request, name: str, number: int) -> Response:
        """Open what is owed and was never opened, ring for the workers, and answer the gate."""
        version = versions.version_of(name, number)
        policy = policies.in_force(version.model.tier)
        if version.unservable:
            raise Conflict(f"{version} cannot be served, so it is not checked: {version.unservable}.")
        for run in runs.open_for(version, policy, timezone.now()):
            bell.ring(run)
        return Response(_gate(version, policy), status=202)


def _gate(version: ModelVersion, policy: Policy) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "version": version.number,
        "digest": version.digest,
        "unservable": version.unservable,
        "policy": {"tier": policy.tier, "number": policy.number, "digest": policy.digest},
        **gate.of(version, policy, timezone.now()),
    }


class Observations(APIView):
    """What serves and how it does: of one model, or of all that the caller owns."""

    needs = "registry.read"

    def get(self, request: Request) -> Response:
        """Answer per model what serves, the newest run of each monitor with its lines, and its open alerts."""
        name = request.query_params.get("model")
        mine = RegisteredModel.objects.filter(owner=actor_of(request)).order_by("name")
        found = [versions.model_named(name)] if name else list(mine[:MOST])
        return Response({"models": observing.of(found)})
