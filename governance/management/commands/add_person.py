"""Add somebody who signs in, or a service account whose programs carry tokens."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from governance.roles import ROLES
from registry import people
from registry.refusals import Refusal


class Command(BaseCommand):
    """Run as the migrator or as the application's database role."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Accept who and as what; the password is asked for, or read from standard input where that is no terminal."""
        parser.add_argument("username")
        parser.add_argument("--name", default="", help="the name that pages show")
        parser.add_argument("--role", action="append", required=True, choices=sorted(ROLES), dest="roles")
        parser.add_argument("--service", action="store_true", help="a program: no password, only tokens (issue_token)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Add them and enter it."""
        try:
            user = people.add(
                username=options["username"],
                name=options["name"],
                password=None if options["service"] else _password(),
                roles=options["roles"],
                by="service:command-line",
                now=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        self.stdout.write(f"{user.username} was added as {', '.join(options['roles'])}")


def _password() -> str:
    if sys.stdin.isatty():
        given = getpass.getpass("Password: ")
        if given != getpass.getpass("Again: "):
            raise CommandError("The two passwords differ. Nobody was added.")
    else:
        given = sys.stdin.readline().rstrip("\n")
    try:
        validate_password(given)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    return given
