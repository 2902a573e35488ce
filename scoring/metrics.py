"""How scoring stands, as numbers to watch, behind those of the registry (Prometheus text format 0.0.4)."""

from django.http import HttpResponse
from rest_framework.request import Request

from registry.api import metrics
from scoring import explaining

_PENDING = "countersign_explanations_pending"


class Metrics(metrics.Metrics):
    """GET /metrics, with a token."""

    def get(self, request: Request) -> HttpResponse:
        """Return the registry's gauges and ours."""
        answer = super().get(request)
        answer.write(f"# HELP {_PENDING} answers that still owe their explanation\n# TYPE {_PENDING} gauge\n")
        answer.write(f"{_PENDING} {explaining.pending()}\n")
        return answer
