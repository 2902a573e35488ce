"""For the worker that sends webhooks, who alone can open their secrets."""

import logging
from uuid import UUID

from celery import current_app, shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from governance.webhooks import deliveries

log = logging.getLogger(__name__)

AT_ONCE = 20  # deliveries of one webhook until it rings for itself again
FORGOTTEN = 10  # seconds until a ring that nobody heard is forgotten


@shared_task
def follow_the_log() -> None:
    """Find what webhooks are owed, and ring for each that has something due."""
    while deliveries.follow(timezone.now()):
        continue
    for webhook in deliveries.due(timezone.now()):
        ring(str(webhook))


@shared_task
def deliver(webhook: str) -> None:
    """Deliver to one webhook what is due."""
    for _ in range(AT_ONCE):
        if not deliveries.deliver_next(UUID(webhook), timezone.now()):
            break


def ring(webhook: str) -> None:
    """Ask that somebody deliver to a webhook now; unheard, or without a queue, it is asked again by a later beat."""
    try:
        current_app.send_task(deliver.name, [webhook], queue="webhooks", expires=FORGOTTEN, retry=False)
    except OperationalError:
        log.exception("the queue does not answer; what webhook %s is owed waits for a later beat", webhook)


def wake(webhook: UUID) -> None:
    """Ring once what the caller asked for is committed."""
    transaction.on_commit(lambda: ring(str(webhook)))
