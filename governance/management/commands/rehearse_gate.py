"""Measure a model folder by a policy's rules; one JSON line per check, then the whole gate. `countersign` calls it."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from governance import rehearsal
from monitoring import gate
from registry.refusals import Refusal


class Command(BaseCommand):
    """Needs no platform, and no database."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept the file that says what to measure: folder, model, rules, data (role → file), label, protected."""
        parser.add_argument("spec", type=Path)

    def handle(self, *args: Any, spec: Path, **options: Any) -> None:
        """Measure."""
        asked = json.loads(spec.read_text())
        files = {role: Path(path) for role, path in asked["data"].items()}
        told = {"label": asked["label"], "protected": asked["protected"]}
        try:
            found = rehearsal.candidate(Path(asked["folder"]), model=asked["model"], data=files, **told)
            done: list[dict[str, Any]] = []
            objection = rehearsal.objection(found, Path(asked["folder"]), asked["rules"])
            for check in [] if objection else rehearsal.checks(found, asked["rules"]):
                done.append(check)
                self._say({"check": check["check"], "verdict": check["verdict"]})
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        self._say({**gate.joined(done), "unservable": objection})

    def _say(self, told: dict[str, Any]) -> None:
        self.stdout.write(orjson.dumps(told).decode())
        self.stdout.flush()
