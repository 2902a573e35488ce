"""For the light worker."""

from celery import shared_task
from django.utils import timezone

from governance import retraining
from scoring import partitions


@shared_task
def open_cases() -> None:
    """Open a case for each unanswered alert."""
    retraining.open_cases(timezone.now())


@shared_task
def make_partitions() -> None:
    """Make the partitions of the months to come."""
    partitions.make()
