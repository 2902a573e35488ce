"""What the journal of this host holds, and whether it is whole."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from scoring import journal


class Command(BaseCommand):
    """`manage.py journal status | verify`: read the journal without changing it; exit 1 when it is not whole."""

    help = "Tell of the decisions that this host keeps while the database is gone."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what to do."""
        parser.add_argument("action", choices=["status", "verify"])
        parser.add_argument("--file", help="another journal than that of COUNTERSIGN_HOME, such as one put aside")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what there is."""
        path = Path(options["file"]) if options["file"] else settings.HOME / "journal" / "journal"
        found = journal.inspect(path)
        if found is None:
            self.stdout.write("The journal is empty: every decision is on record.")
            return
        self.stdout.write(f"journal {found.name}: {found.records} decisions in {found.whole} bytes wait to be drained")
        if options["action"] == "status":
            return
        if found.broken:
            raise CommandError(
                f"After decision {found.records}, {found.broken} bytes do not follow from what is before them: a "
                "writer died there, or somebody changed the file. Keep it."
            )
        self.stdout.write(f"VERIFIED  every record follows from the one before; the last hash is {found.hash.hex()}")
