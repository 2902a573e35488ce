"""Issue a token for somebody's programs; its secret is printed once and kept nowhere."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from registry import people
from registry.models import User
from registry.refusals import Refusal


class Command(BaseCommand):
    """Run as the migrator or as the application's database role."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept whose token it is and what it may do: by default all that its owner may."""
        parser.add_argument("username")
        parser.add_argument("--name", required=True, help="what it is for")
        parser.add_argument("--days", type=int, default=people.LONGEST.days)
        parser.add_argument("--scope", action="append", dest="scopes", help="a permission such as scoring.score")

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue it and enter it."""
        owner = User.objects.filter(username=options["username"]).first()
        if owner is None:
            raise CommandError(f"Nobody is known as {options['username']}. Add them first (manage.py add_person).")
        scopes = options["scopes"] or sorted(owner.get_all_permissions())
        try:
            token, secret = people.issue_token(
                owner=owner, name=options["name"], scopes=scopes, days=options["days"], by=owner, now=timezone.now()
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        self.stderr.write(f"token {token.id} of {owner.username} for {', '.join(scopes)}, until {token.expires_at:%F}")
        self.stdout.write(secret)
