"""For the light worker: find what waits and ring for whoever performs it."""

from celery import current_app, shared_task
from django.utils import timezone

from monitoring import alerts, runs
from monitoring.examinations import queue_of
from monitoring.models import CheckRun

FORGOTTEN = 30  # seconds until a ring that nobody heard is forgotten; by then what waits is rung for again


@shared_task
def start_missing_checks() -> None:
    """Open owed check runs and ring for each at once."""
    for run in runs.open_missing(timezone.now()):
        _ring(run)


@shared_task
def ring_for_waiting_checks() -> None:
    """Ring again for runs that nobody is at: the ring was not heard, or their worker died."""
    for run in runs.waiting(timezone.now()):
        _ring(run)


@shared_task
def raise_alerts() -> None:
    """Raise alerts for refused loads."""
    alerts.raise_for_refused_loads(timezone.now())


def _ring(run: CheckRun) -> None:
    queue = queue_of(run.check_name)
    current_app.send_task(f"monitoring.tasks.{queue}.perform_check", [str(run.pk)], queue=queue, expires=FORGOTTEN)
