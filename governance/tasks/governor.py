"""For the governor, who alone holds the warrant key and may insert deployments."""

from celery import shared_task
from django.utils import timezone

from governance import promotion


@shared_task
def execute_orders() -> None:
    """Execute the orders that wait."""
    promotion.execute_waiting(timezone.now())
