"""For the light worker."""

from celery import shared_task
from django.utils import timezone

from governance import retraining


@shared_task
def open_cases() -> None:
    """Open a case for each unanswered alert."""
    retraining.open_cases(timezone.now())
