"""manage.py describe_api: draws up governance/openapi/openapi.yaml anew from the endpoints (`dev` packages)."""

from typing import Any

from django.core.management.base import BaseCommand

from governance.openapi import document


class Command(BaseCommand):
    """Write the OpenAPI document."""

    help = "Write governance/openapi/openapi.yaml anew, from the endpoints and from bodies.yaml."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, and say where."""
        document.FILE.write_text(document.text())
        self.stdout.write(str(document.FILE))
