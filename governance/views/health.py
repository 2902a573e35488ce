"""Whether this process can do its work, for those who watch it from outside."""

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from registry import ledger

LATE = 10.0  # seconds after which an entry without a place means that the sequencer stands still


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Say that the database answers, and for each log how long the first entry in line waits for its place.

    `degraded` when one waits too long: somebody must look at the sequencer. Pages and records work without it, and
    it is then that they are needed, so only a missing database makes this process unready (503).
    """
    try:
        waits = {log: ledger.waiting_seconds(log) for log in ledger.LOGS}
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    late = any(seconds is not None and seconds > LATE for seconds in waits.values())
    rounded = {log: seconds and round(seconds, 1) for log, seconds in waits.items()}
    status = "degraded" if late else "ok"
    return JsonResponse({"status": status, "database": "reachable", "unsequenced_seconds": rounded})
