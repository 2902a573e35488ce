"""For the monitors worker: production is watched whatever candidates are being checked."""

from celery import shared_task
from django.utils import timezone

from monitoring import watching


@shared_task
def watch_champions() -> None:
    """Measure the windows of production traffic that are complete."""
    watching.watch_all(timezone.now())
