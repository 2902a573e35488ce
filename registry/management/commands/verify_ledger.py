"""Recompute the logs and exit 1 at the first thing that is not as signed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry import verification
from registry.ledger import LOGS
from registry.refusals import Refusal


class Command(BaseCommand):
    """Recompute every entry, head and signature of both logs."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line a log."""
        for log in LOGS:
            try:
                size = verification.verify(log)
            except Refusal as refusal:
                raise CommandError(refusal.detail) from refusal
            self.stdout.write(f"{log}: {size} entries verified")
