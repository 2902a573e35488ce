"""End a token before its time; servers stop accepting it within seconds."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry import people
from registry.models import ServiceToken


class Command(BaseCommand):
    """Run as the migrator or as the application's database role."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept the token's identifier, which issue_token printed and the ledger holds."""
        parser.add_argument("token", type=UUID)

    def handle(self, *args: Any, **options: Any) -> None:
        """End it and enter it; a second time changes nothing."""
        token = ServiceToken.objects.select_related("owner").filter(pk=options["token"]).first()
        if token is None:
            raise CommandError(f"No token {options['token']} was issued. The ledger's token.issued entries name them.")
        people.revoke_token(token=token, by=token.owner, now=timezone.now())
        self.stdout.write(f"token {token.id} of {token.owner.username} is not accepted any more")
