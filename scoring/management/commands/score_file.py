"""Decide on every row of a Parquet, Arrow or CSV file: each decision is explained and recorded as one by the API.

Interrupted, run the same again: no row is decided on twice. Runs as the scoring process does (PROCESS=scoring, and the
database role countersign_scoring).
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.management.progress import Bar
from registry.models import User
from registry.refusals import Invalid, NotAllowed, Refusal
from scoring import files


class Command(BaseCommand):
    """Score a file with the champion of a model."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what is scored, and which columns say what."""
        parser.add_argument("source", type=Path, metavar="IN")
        parser.add_argument("target", type=Path, metavar="OUT", help="a .parquet or .csv file; it appears when whole")
        parser.add_argument("--model", required=True, help="the name of the model whose champion answers")
        parser.add_argument("--by", default="engine", help="who asks (a username with the permission scoring.score)")
        parser.add_argument("--entity", metavar="COLUMN", help="the column that says whom a row is about")
        parser.add_argument("--request-id", metavar="COLUMN", help="the column of your own request ids")
        parser.add_argument(
            "--attributes", nargs="+", default=[], metavar="COLUMN", help="kept for monitoring; no model sees them"
        )
        parser.add_argument("--run", default="", help="another word here decides on the same file once more")
        parser.add_argument("--skip-wrong", action="store_true", help="answer rows that do not fit with their error")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows were decided on; exit with 1 when some were wrong."""
        bar = Bar(sys.stderr)
        try:
            found = files.score(
                _readable(options["source"]), options["target"], _order(options), clock=timezone.now, told=bar
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        finally:
            bar.close()
        decided = found.rows - found.wrong
        self.stdout.write(f"{decided:,} of {found.rows:,} rows decided on, {found.fallbacks:,} by the fallback")
        if found.wrong:
            raise CommandError(f"{found.wrong:,} rows do not fit the schema; {options['target']} says what is wrong.")


def _readable(path: Path) -> Path:
    if not path.is_file():
        raise Invalid(f"There is no file {path}. Give the path of a Parquet, Arrow or CSV file.")
    return path


def _order(options: dict[str, Any]) -> files.Order:
    known = User.objects.only("id", "username", "is_active", "is_superuser")  # more of a person scoring cannot read
    by = known.filter(username=options["by"], is_active=True).first()
    if by is None or not by.has_perm("scoring.score"):
        raise NotAllowed(f"{options['by']} does not hold scoring.score. Say --by with the username of who does.")
    given = {name: options[name] for name in ("model", "entity", "request_id", "attributes", "run", "skip_wrong")}
    if len(given["run"]) > 20 or not given["run"].isprintable():
        raise Invalid("--run is a word of at most 20 printable characters.")
    return files.Order(by=by, **given)
