"""Whether this process can do its work, for those who watch it from outside."""

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from registry.models import LedgerEntry


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Say that the database answers, and how long the newest entry has been waiting for its place if it has none."""
    try:
        newest = LedgerEntry.objects.select_related("leaf_row").order_by("-id").first()
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    waits = newest and not hasattr(newest, "leaf_row")
    seconds = round((timezone.now() - newest.at).total_seconds(), 1) if newest and waits else None
    return JsonResponse({"status": "ok", "database": "reachable", "unsequenced_seconds": seconds})
