"""For the intake worker, which alone speaks to the hosts that others name: bring what waits to its end."""

import logging

from celery import shared_task
from django.utils import timezone

from registry import pinning, scrubbing
from scoring import trials

log = logging.getLogger(__name__)


@shared_task
def pin_waiting() -> None:
    """Perform every registration that waits, each once; what is asked for meanwhile rings again."""
    for registration in pinning.waiting(timezone.now()):
        pinning.perform(registration, now=timezone.now(), trial=trials.examine)


@shared_task
def scrub_artifacts() -> None:
    """Hash some stored files again; what is damaged is entered, counted in /metrics, and said here."""
    for found in scrubbing.turn(timezone.now()):
        log.error("artifact %s is %s; nothing that is built on it is loaded", found.digest, found.verdict)
