"""For the checks worker: numpy, scikit-learn, fairlearn and the model runtimes."""

from celery import shared_task
from django.utils import timezone

from monitoring import examinations, performing
from monitoring.models import CheckRun

examinations.load("checks")  # before the worker forks, not at its first run


@shared_task
def perform_check(run_id: str) -> None:
    """Perform one check run; nothing happens if it is done or another worker has it."""
    run = CheckRun.objects.select_related("version__model", "policy").get(pk=run_id)
    performing.perform(run, now=timezone.now())
