"""For the intake worker, which alone speaks to the hosts that others name: bring what waits to its end."""

import logging

from celery import current_app, shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from registry import pinning

FORGOTTEN = 30  # seconds until a ring that nobody heard is forgotten; the beat rings again

log = logging.getLogger(__name__)


@shared_task
def pin_waiting() -> None:
    """Perform every registration that waits, each once; what is asked for meanwhile rings again."""
    for registration in pinning.waiting():
        pinning.perform(registration, now=timezone.now())


def ring() -> None:
    """Tell the intake worker that something waits; without a queue the worker finds it by itself, a moment later."""
    try:
        current_app.send_task("registry.tasks.pin_waiting", queue="intake", expires=FORGOTTEN, retry=False)
    except OperationalError:
        log.exception("the queue does not answer; what waits is found by the next beat that it hears")
