"""`countersign status`: where models and versions stand."""

from typing import Any

import click

from governance.cli import options, output
from governance.cli.server import Server, version_path


@click.command()
@click.argument("what", metavar="[MODEL[/VERSION]]", required=False)
@options.as_json
def command(what: str | None, as_json: bool) -> None:
    """Show where my models stand, or the versions of one model, or one version."""
    server = Server()
    name, slash, _ = (what or "").partition("/")
    if slash:
        name, found = options.Version().convert(what, None, None)
        answer = server.ask("GET", f"{version_path(name, found)}/stage")
        output.tell(answer, _version(answer), as_json=as_json)
        return
    answer = server.ask("GET", "/api/v1/standing", params={"model": name} if name else {})
    output.tell(answer, _models(answer["models"]), as_json=as_json)


def _version(answer: dict[str, Any]) -> list[str]:
    checks = [(name, check["verdict"]) for name, check in answer["checks"].items()]
    lines = [f"{output.plain(answer['version'])}  {output.word(answer['stage'])}", f"digest  {answer['digest']}"]
    lines += [f"  {output.word(verdict, 12)}  {output.plain(name)}" for name, verdict in checks]
    if answer["request"]:
        lines.append(f"request {answer['request']}")
    owed = ", ".join(f"{count} × {role}" for role, count in answer["owed"].items())
    if answer["request"] and owed:
        lines.append(f"still to sign: {owed}")
    return lines


def _models(models: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            f"{row['model']}/{row['version']}",
            row["stage"],
            row["verdict"],
            row["registered_at"][:10],
            ", ".join(f"{count} × {role}" for role, count in row["owed"].items()),
        )
        for model in models
        for row in model["versions"]
    ]
    if not rows:
        return ["Nothing is registered yet. Begin with `countersign register PATH`."]
    return output.table(rows, ("VERSION", "STAGE", "CHECKS", "SINCE", "STILL TO SIGN"))
