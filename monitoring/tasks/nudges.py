"""For the light worker: find what waits and ring for whoever performs it."""

from celery import current_app, shared_task
from django.utils import timezone

from monitoring import alerts, runs


@shared_task
def start_missing_checks() -> None:
    """Open owed check runs and ring for each that nobody is at."""
    for run in runs.open_missing(timezone.now()):
        queue = runs.QUEUES.get(run.check_name, "checks")
        current_app.send_task(f"monitoring.tasks.{queue}.perform_check", [str(run.pk)], queue=queue, expires=30)


@shared_task
def raise_alerts() -> None:
    """Raise alerts for refused loads."""
    alerts.raise_for_refused_loads(timezone.now())
