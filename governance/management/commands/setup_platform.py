"""Bring a database to the state this code expects: schema, rights, keys, roles, policies; safe to repeat."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from governance import demo_people, privileges, roles
from governance.policy_defaults import DEFAULTS
from governance.retraining import TRAINER
from governance.webhooks import sealing
from registry import epochs, keys, people, policies, policy_file, proofs
from registry.ledger import LOGS
from registry.models import Policy, User
from registry.tlog.vkeys import COSIGNATURE, MLDSA44
from scoring import partitions


class Command(BaseCommand):
    """Run as the migrator, before anything else starts."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept --people, --post-quantum and --witness."""
        parser.add_argument("--people", action="store_true", help="add one demo person per role")
        parser.add_argument("--post-quantum", action="store_true", help="let the logs sign with ML-DSA-44 as well")
        parser.add_argument("--witness", metavar="URL", help="make a witness's key, and ask the one at this address")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, grant, make keys, collect static files; adopt default policies where a tier has none."""
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        now = timezone.now()
        with transaction.atomic():
            epochs.settle(now)
            roles.synchronise(now)
            partitions.make()
            privileges.grant()
            for tier, rules in DEFAULTS.items():
                if not Policy.objects.filter(tier=tier).exists():
                    policies.adopt(tier=tier, rules=rules, by=None, now=now)
            if not User.objects.filter(username=TRAINER).exists():
                people.add(username=TRAINER, name="", password=None, roles=["trainer"], by="service:setup", now=now)
        make_keys(post_quantum=options["post_quantum"])
        write_policy(options["witness"])
        if options["people"]:
            demo_people.add(now)
        self.stdout.write("platform is set up")


def make_keys(*, post_quantum: bool = False) -> None:
    """Make the keys of both logs, warrants and webhooks, unless they are there; `post_quantum`: two for each log."""
    private, public = Path(settings.LOG_KEY_FILE), settings.LOG_VKEY_FILE
    for log in LOGS:
        keys.ensure(private.with_suffix(f".{log}.key"), public.with_suffix(f".{log}.vkey"), proofs.origin(log))
        if post_quantum:
            second = private.with_suffix(f".{log}.mldsa.key"), public.with_suffix(f".{log}.mldsa.vkey")
            keys.ensure(*second, proofs.origin(log), MLDSA44)
    keys.ensure(Path(settings.WARRANT_KEY_FILE), settings.WARRANT_VKEY_FILE, f"{settings.LOG_ORIGIN}/warrants")
    sealing.ensure(Path(settings.WEBHOOK_KEY_FILE), settings.WEBHOOK_PUBLIC_KEY_FILE)


def write_policy(witness: str | None) -> None:
    """Write the trust policy of our logs unless it is there; `witness`: the address of the one we start ourselves."""
    public, logs, ours = settings.LOG_VKEY_FILE, {}, None
    for log in LOGS:
        logs[f"{settings.PUBLIC_URL}/log/{proofs.origin(log)}"] = keys.verifiers(public.with_suffix(f".{log}.vkey"))
    if witness:
        private = settings.HOME / "witness" / "witness.key"
        name = f"witness.{settings.LOG_ORIGIN}"
        ours = keys.ensure(private, private.with_name("witness.key.vkey"), name, COSIGNATURE), witness
    policy_file.ensure(settings.LOG_POLICY_FILE, logs, ours)
