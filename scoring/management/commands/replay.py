"""Compute decisions again from what is on record and compare every bit; exit 1 when one differs."""

import json
import random
import sys
import time
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry.management.progress import Bar
from registry.refusals import Refusal
from scoring import replaying
from scoring.replaying import Report

_SHOWN = 20  # differences that are printed


class Command(BaseCommand):
    """Prove that decisions are what their inputs and their model make of them."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name decisions, or draw some."""
        parser.add_argument("decision", nargs="*", type=UUID, help="decisions by their id")
        parser.add_argument("--sample", type=int, metavar="N", help="draw N decisions over all times instead")
        parser.add_argument("--seed", type=int, help="draw the same ones again (default: a new one, which is printed)")
        parser.add_argument("--model", default="", help="draw from this model's alone")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many came out the same, and for those that did not why."""
        if bool(options["decision"]) == bool(options["sample"]):
            raise CommandError("Name decisions, or say --sample N.", returncode=2)
        bar = Bar(sys.stderr)
        began = time.monotonic()
        try:
            report = self._replayed(options, bar)
        except Refusal as refusal:
            raise CommandError(refusal.detail, returncode=2) from refusal
        finally:
            bar.close()
        self._tell(report, time.monotonic() - began, as_json=options["json"])
        if report.differing:
            sys.exit(1)

    def _replayed(self, options: dict[str, Any], bar: Bar) -> Report:
        identities, chosen = list(dict.fromkeys(options["decision"])), {}
        if options["sample"]:
            seed = random.SystemRandom().getrandbits(31) if options["seed"] is None else options["seed"]
            chosen = {"sample": options["sample"], "seed": seed, "model": options["model"]}
            identities = replaying.sample(options["sample"], seed=seed, model=options["model"])
            self.stderr.write(f"drawn with --seed {seed}")
        report = replaying.replay(identities, bar)
        replaying.keep(report, actor="service:command-line", now=timezone.now(), chosen=chosen)
        return report

    def _tell(self, report: Report, seconds: float, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**report.dump(), "seconds": round(seconds, 3)}, sort_keys=True))
            return
        for shown in report.shown[:_SHOWN]:
            size = ", ".join(f"{name} by {value:.3g}" for name, value in shown["size"].items())
            self.stdout.write(f"{shown['decision']}  {shown['kind']}: {'; '.join(shown['what'])}  {size}")
        kinds = ", ".join(f"{number} by {kind}" for kind, number in sorted(report.kinds.items()))
        self.stdout.write(
            f"{report.compared:,} decisions replayed in {seconds:.1f} s: "
            + (f"{report.differing:,} differ ({kinds})" if kinds else "0 differing bits")
        )
