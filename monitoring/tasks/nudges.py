"""For the light worker: find what waits and ring for whoever performs it."""

from celery import shared_task
from django.utils import timezone

from monitoring import alerts, bell, runs


@shared_task
def start_missing_checks() -> None:
    """Open owed check runs and ring for each at once."""
    for run in runs.open_missing(timezone.now()):
        bell.ring(run)


@shared_task
def ring_for_waiting_checks() -> None:
    """Ring again for runs that nobody is at: the ring was not heard, or their worker died."""
    for run in runs.waiting(timezone.now()):
        bell.ring(run)


@shared_task
def raise_alerts() -> None:
    """Raise alerts for refused loads."""
    alerts.raise_for_refused_loads(timezone.now())
