"""Alerts and monitor runs over HTTP."""

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.models import Alert, MonitorRun
from registry import versions

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
