"""For the training worker."""

from celery import shared_task
from django.utils import timezone

from governance import retraining


@shared_task
def retrain_next() -> None:
    """Retrain the oldest case that has enough labels."""
    retraining.retrain_next(timezone.now())
