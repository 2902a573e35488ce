"""For the checks worker: numpy, scikit-learn, fairlearn and the model runtimes."""

from celery import shared_task
from django.utils import timezone

from monitoring import performing, watching
from monitoring.models import CheckRun


@shared_task
def perform_check(run_id: str) -> None:
    """Perform one check run; nothing happens if it is done or another worker has it."""
    run = CheckRun.objects.select_related("version__model", "policy").get(pk=run_id)
    performing.perform(run, performing.CHECKS[run.check_name], now=timezone.now())


@shared_task
def watch_champions() -> None:
    """Measure the windows of production traffic that are complete."""
    watching.watch_all(timezone.now())
