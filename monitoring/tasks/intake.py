"""For the intake worker, which alone speaks to the hosts that others name: bring what waits to its end."""

from celery import shared_task
from django.utils import timezone

from registry import pinning
from scoring import trials


@shared_task
def pin_waiting() -> None:
    """Perform every registration that waits, each once; what is asked for meanwhile rings again."""
    for registration in pinning.waiting():
        pinning.perform(registration, now=timezone.now(), trial=trials.examine)
