"""How the logs and the artifact store stand, as numbers to watch (Prometheus text format 0.0.4)."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from registry import scrubbing, standing
from registry.ledger import LOGS

_HELP = {
    "size": "entries with a place in the log",
    "published_size": "entries under the published checkpoint",
    "cosigned_size": "entries under a checkpoint that the witnesses' quorum cosigned",
    "unsequenced_seconds": "age of the first entry without a place",
    "unpublished_seconds": "age of the first entry under no published checkpoint (limit 10)",
    "uncosigned_seconds": "age of the first entry under no cosigned checkpoint (limit 60)",
    "breaches": "breaches that nobody answered",
    "red": "1 when a promise about the log is broken",
}


class Metrics(APIView):
    """GET /metrics, with a token."""

    needs = "registry.read"

    def get(self, request: Request) -> HttpResponse:
        """Return one gauge a figure, labelled by log."""
        logs = {log: standing.of(log) for log in LOGS}
        figures = {log: {**found.figures(), "red": int(bool(found.faults))} for log, found in logs.items()}
        text = ""
        for name, about in _HELP.items():
            text += f"# HELP countersign_log_{name} {about}\n# TYPE countersign_log_{name} gauge\n"
            for log, said in figures.items():
                if said.get(name) is not None:
                    text += f'countersign_log_{name}{{log="{log}"}} {said[name]}\n'
        text += "# HELP countersign_artifacts_damaged stored files that were missing or changed when hashed again\n"
        text += (
            f"# TYPE countersign_artifacts_damaged gauge\ncountersign_artifacts_damaged {len(scrubbing.damaged())}\n"
        )
        return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")
