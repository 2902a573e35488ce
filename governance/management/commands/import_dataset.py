"""Register any CSV or Parquet file as a labelled data set."""

import io
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from governance import importing, training
from registry import datasets
from registry.models import User
from registry.refusals import Refusal


class Command(BaseCommand):
    """Read a file, find out what its columns are, keep it by digest."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say which column is what."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--label", required=True, help="the column that says whether the adverse event happened")
        parser.add_argument("--adverse", help="the label's value that is the adverse event (default: found out of two)")
        parser.add_argument("--time", help="the column to split training and holdout by")
        parser.add_argument("--id", help="an identifier, never a feature")
        parser.add_argument(
            "--protected", nargs="+", action="extend", default=[], help="checked for bias, never features"
        )
        parser.add_argument("--by", default="ada", help="who registers it (a username)")
        parser.add_argument("--name", help="what to call it (default: the file's name)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was found and the digest it is registered under."""
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(f"There is nobody named {options['by']}; say --by with somebody's username.")
        try:
            found = importing.read(
                options["file"],
                label=options["label"],
                time=options["time"],
                identifier=options["id"],
                protected=options["protected"],
                adverse=options["adverse"],
            )
            sink = io.BytesIO()
            found.frame.to_parquet(sink, index=False)
            dataset = datasets.register(
                data=sink.getvalue(),
                name=(options["name"] or options["file"].name)[:120],
                columns=training.columns(found.schema, label=found.label, time=found.time, protected=found.protected),
                by=by,
                now=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        for column in found.schema.columns:
            words = f" ({len(column.categories)} categories)" if column.categories else ""
            self.stdout.write(f"  {column.name}: {column.kind}{words}{', may be missing' if column.nullable else ''}")
        for note in found.notes:
            self.stdout.write(f"  note: {note}")
        rate = found.frame[found.label].mean()
        self.stdout.write(f"{dataset.rows} rows, {len(found.schema.columns)} features, {rate:.1%} adverse")
        self.stdout.write(f"registered as {dataset.digest}")
