"""Take back into a rolled-back database the entries that the published log still holds."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry import publishing, recovery
from registry.ledger import LOGS
from registry.refusals import Refusal


class Command(BaseCommand):
    """Run as the migrator, after a restore, while nothing else writes."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept the log, and where a copy of it is if not in its own folder."""
        parser.add_argument("log", choices=LOGS)
        parser.add_argument("--from", dest="folder", type=Path, help="a copy of the published log's folder")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say how many entries came back."""
        folder = options["folder"] or publishing.folder(options["log"])
        try:
            before, after = recovery.recover(
                log=options["log"], published=folder, by="service:command-line", now=timezone.now()
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        self.stdout.write(
            f"{options['log']}: {after - before} entries taken back, {after} in all. What they tell of is not: compare "
            "with the backups of the tables."
        )
