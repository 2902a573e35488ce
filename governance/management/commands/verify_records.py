"""Hold every record against its entry in the log, and exit 1 where one is missing, changed, or was never entered."""

from argparse import ArgumentParser
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance import holdings

SHOWN = 50


class Command(BaseCommand):
    """To be run beside `verify_ledger`, which proves the entries themselves."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept how many findings are shown."""
        parser.add_argument("--most", type=int, default=SHOWN, help="findings to show (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line a finding."""
        found = list(islice(holdings.findings(), options["most"]))
        for finding in found:
            self.stdout.write(finding)
        if found:
            raise CommandError(
                f"{len(found)} records are not as they were entered. Issue no dossier on them; restore their rows from "
                "a backup, and find out who can change them."
            )
        self.stdout.write("Every record is as it was entered, and nothing is on record that was not.")
