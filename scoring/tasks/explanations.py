"""For the worker that computes after the answer: explanations that were deferred, decisions that are computed again."""

from celery import shared_task
from django.utils import timezone

from scoring import explaining, replaying


@shared_task
def explain_waiting() -> None:
    """Explain every decision that waits for it."""
    while explaining.explain_waiting(timezone.now()):
        continue


@shared_task
def replay_waiting() -> None:
    """Answer who asked on a page that a decision be computed again."""
    replaying.answer_waiting(timezone.now())
