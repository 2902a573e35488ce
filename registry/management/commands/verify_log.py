"""Check a whole published log from its files alone, and exit 1 at the first thing that is not as signed."""

import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.refusals import Mismatch
from registry.tlog import directory, inputs
from registry.tlog.trust import LARGEST_POLICY, Policy


class Command(BaseCommand):
    """Signatures and quorum, every entry and tile, the root, the writers' counters; no database, no environment."""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept the folder and whom to trust."""
        parser.add_argument("directory", type=Path, metavar="DIR", help="a copy of what the log publishes")
        parser.add_argument("--policy", required=True, metavar="FILE", help="whom to trust (tlog-policy); - is input")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was verified."""
        begun = time.perf_counter()
        try:
            policy = Policy.parse(inputs.read(options["policy"], LARGEST_POLICY))
            found, writers = directory.verify(options["directory"], policy)
        except Mismatch as mismatch:
            raise CommandError(f"NOT VERIFIED  {mismatch.detail}") from mismatch
        seconds = time.perf_counter() - begun
        head = found.checkpoint
        self.stdout.write(f"VERIFIED  {head.origin}: {head.size} entries, root {head.root.hex()}")
        for name, moment in found.cosigners.items():
            self.stdout.write(f"cosigned by {name!a} at {datetime.fromtimestamp(moment, UTC)}")
        for writer, first, last in writers.acknowledged:
            self.stdout.write(f"acknowledged as missing: numbers {first} to {last} of writer {writer!a}")
        for fault in writers.explained:
            self.stdout.write(f"acknowledged: {str(fault)!a}")
        self.stdout.write(f"{head.size / seconds:,.0f} entries/s")
