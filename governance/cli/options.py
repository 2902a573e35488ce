"""Options and arguments that several commands share."""

import re
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
timeout = click.option(
    "--timeout", default=900.0, show_default=True, type=click.FloatRange(min=0), help="Seconds to wait at most."
)
_VERSION = re.compile(r"(?:models:/)?([^/:\\]+)/([1-9][0-9]{0,8})")


class Version(click.ParamType):
    """MODEL/VERSION, such as fraud/3; models:/fraud/3 is the same."""

    name = "model/version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return name and number."""
        found = _VERSION.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self.fail(f"{value!r} is not a model and the number of its version. Write for example fraud/3.", param, ctx)
        return found[1], int(found[2])


class Pair(click.ParamType):
    """KEY=VALUE."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return key and value."""
        key, found, text = str(value).partition("=")
        if not found or not key:
            self.fail(f"{value!r} is not of the form key=value.", param, ctx)
        return key, text
