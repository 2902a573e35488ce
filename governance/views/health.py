"""Whether this process can do its work, and whether the record keeps its promises, for those who watch from outside."""

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from registry import ledger, standing
from scoring import explaining, partitions


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say that this process and its database answer: what a load balancer asks.

    Pages and records work while a log's promise is broken, and it is then that they are needed.
    """
    try:
        ledger.last_placed(ledger.GOVERNANCE)
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok", "database": "reachable"})


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Say how each log stands; red (503) when one breaks a promise: somebody must look, at once."""
    try:
        logs = {log: standing.of(log) for log in ledger.LOGS}
        missing = partitions.missing(timezone.now())
        overdue = explaining.overdue(timezone.now())
        pending = explaining.pending()
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    faults = {log: found.faults for log, found in logs.items() if found.faults}
    if overdue:
        faults["explanations"] = overdue
    answer = {
        "status": "red" if faults else "ok",
        "database": "reachable",
        "faults": faults,
        "notices": [missing] if missing else [],  # nothing is wrong yet
        "explanations_pending": pending,
        "logs": {log: found.figures() for log, found in logs.items()},
    }
    return JsonResponse(answer, status=503 if faults else 200)
