"""The entry of the console script: its table of commands, and how every failure is told. Never a traceback."""

import os
import sys
from importlib import import_module
from typing import Any

import click

from governance.cli import ends, output

COMMANDS = {
    "login": "Store a server's address and a token",
    "register": "Upload a model folder and register it as the next version",
    "check": "Run the policy's gate, on the server or here",
    "submit": "Ask for approval of a version",
    "status": "Show where models and versions stand",
    "observe": "Show drift, performance and alerts of what serves",
    "export": "Fetch a dossier that verifies offline",
}
_CODES = "\n".join(f"  {code:<5}{meaning}" for code, meaning in ends.MEANINGS.items())
_HELP = f"""Countersign from a terminal or a pipeline: register, check, submit and observe models.

The server and the token come from COUNTERSIGN_URL and COUNTERSIGN_TOKEN (or MLFLOW_TRACKING_TOKEN), else from
`countersign login`. With --json, stdout holds one JSON document. Progress goes to stderr.

\b
Exit codes:
{_CODES}
"""


class Commands(click.Group):
    """The commands by the table above; each module is imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"governance.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="countersign")
@click.pass_context
def countersign(context: click.Context) -> None:
    """Honour NO_COLOR (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        context.color = False


def main() -> int:
    """Run the program; return its exit code."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = countersign.main(prog_name="countersign", standalone_mode=False)
        return code if isinstance(code, int) else ends.OK
    except click.exceptions.NoArgsIsHelpError as wanted:
        click.echo(wanted.format_message(), err=True)
        return ends.USAGE
    except click.ClickException as error:
        shown = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "countersign"
        return _failed(ends.Misused(f"{error.format_message()} See `{shown} --help`."), as_json)
    except ends.Failure as failure:
        return _failed(failure, as_json)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return ends.INTERRUPTED
    except BrokenPipeError:  # whoever read has enough; leave nothing for the interpreter to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ends.OK
    except Exception as fault:
        if os.environ.get(ends.DEBUG):
            raise
        said = (
            f"A fault of this program, or the server answers in a form that it does not know ({type(fault).__name__}). "
            f"Are both of the same release? {ends.DEBUG}=1 shows where it happened."
        )
        return _failed(_fault(said), as_json)


def _fault(said: str) -> ends.Failure:
    failure = ends.Failure(said)
    failure.code = ends.FAULT
    return failure


def _failed(failure: ends.Failure, as_json: bool) -> int:
    """Tell a failure: for programs on stdout, for people on stderr."""
    if as_json:
        told: dict[str, Any] = {
            "exit": failure.code,
            "title": failure.title,
            "status": failure.status,
            "detail": failure.detail,
            "reasons": failure.reasons,
        }
        output.tell({"error": told}, (), as_json=True)
        return failure.code
    said = "\n".join(output.wrapped(f"Not done: {failure.detail}", 0))
    click.echo(said.replace("Not done:", click.style("Not done:", fg="red"), 1), err=True)
    for reason in failure.reasons:
        click.echo("\n".join(output.wrapped(f"- {reason}", 2)), err=True)
    return failure.code
