"""Ring for whoever performs a check. The run is the truth; a ring only saves waiting for the next beat."""

import logging

from celery import current_app
from kombu.exceptions import OperationalError

from monitoring.examinations import queue_of
from monitoring.models import CheckRun

FORGOTTEN = 30  # seconds until a ring that nobody heard is forgotten; by then what waits is rung for again

log = logging.getLogger(__name__)


def ring(run: CheckRun) -> None:
    """Ring for a run; without a queue it waits until the beat is heard again."""
    queue = queue_of(run.check_name)
    task = f"monitoring.tasks.{queue}.perform_check"
    try:
        current_app.send_task(task, [str(run.pk)], queue=queue, expires=FORGOTTEN, retry=False)
    except OperationalError:
        log.exception("the queue does not answer; check %s waits for a later beat", run.pk)
