"""Hash every stored artifact again; exit 1 when one is missing or changed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry import scrubbing


class Command(BaseCommand):
    """The artifact store, held against what the rows say of it."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept --bytes N."""
        parser.add_argument("--bytes", type=int, metavar="N", help="stop after so many, the longest unseen first")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line for each file that is not as it was stored, and each that no row names."""
        found = scrubbing.turn(timezone.now(), most=options["bytes"])
        for item in found:
            self.stdout.write(f"{item.verdict}  {item.digest}")
        for name in scrubbing.orphans():
            self.stdout.write(f"orphaned  {name}")
        if found:
            raise CommandError(
                f"{len(found)} artifacts are not as they were stored. Nothing that is built on them is loaded. Restore "
                "them from a backup, or register their versions again, and run this once more."
            )
        self.stdout.write("Every artifact looked at is as it was stored.")
