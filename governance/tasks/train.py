"""For the training worker."""

from celery import shared_task
from django.utils import timezone

from governance import retraining


@shared_task
def retrain_waiting() -> None:
    """Retrain the cases that have enough labels."""
    retraining.retrain_waiting(timezone.now())
