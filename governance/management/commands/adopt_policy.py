"""Put the rules of a JSON file in force for a risk tier; what was approved before stays bound to the rules it had."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry import policies
from registry.refusals import Refusal


class Command(BaseCommand):
    """Run as the migrator: no server's database role may adopt a policy."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept the tier, and a file in the form that GET /api/v1/policies/TIER answers as `rules`."""
        parser.add_argument("tier", type=int, choices=(1, 2, 3))
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Adopt it and enter it; the rules in force already change nothing."""
        try:
            rules = json.loads(options["file"].read_text())
            policy = policies.adopt(tier=options["tier"], rules=rules, by=None, now=timezone.now())
        except (OSError, ValueError) as error:
            raise CommandError(f"{options['file']} holds no rules: {error}.") from error
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        self.stdout.write(f"{policy} is in force, sha256 {policy.digest}")
