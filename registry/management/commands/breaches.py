"""List the breaches of the logs, or answer one: until then they are an alarm."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry import breaches
from registry.ledger import LOGS
from registry.refusals import Refusal


class Command(BaseCommand):
    """What the sequencer saw that must not happen."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept --answer ID --reason TEXT."""
        parser.add_argument("--answer", type=UUID, metavar="ID", help="the breach somebody looked into")
        parser.add_argument("--reason", default="", help="what came of it; kept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line for each unanswered breach, oldest first."""
        if options["answer"]:
            self._answer(options["answer"], options["reason"])
        for log in LOGS:
            for breach in breaches.unanswered(log):
                self.stdout.write(
                    f"{breach.id}  {breach.seen_at:%Y-%m-%d %H:%M:%S}  {log}  {breach.kind}: {breach.detail}"
                )

    def _answer(self, breach: UUID, reason: str) -> None:
        try:
            breaches.answer(breach_id=breach, reason=reason, by="service:command-line", now=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
