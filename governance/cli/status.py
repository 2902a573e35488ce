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
        answer, lines = _of_version(server, *options.Version().convert(what, None, None))
    elif name:
        answer, lines = _of_model(server, name)
    else:
        answer = server.ask("GET", "/api/v1/standing")
        lines = _rows(answer["models"], [])
    output.tell(answer, lines, as_json=as_json)


def _of_version(server: Server, name: str, number: int) -> tuple[dict[str, Any], list[str]]:
    path = version_path(name, number)
    held = server.ask("GET", path)
    if "digest" not in held:  # asked for, and not pinned
        return held, [output.plain(f"{name}/{number}  {held['status']}"), *output.wrapped(held["status_message"], 2)]
    answer = server.ask("GET", f"{path}/stage")
    return answer, _version(answer)


def _of_model(server: Server, name: str) -> tuple[dict[str, Any], list[str]]:
    answer = server.ask("GET", "/api/v1/standing", params={"model": name})
    listed = server.ask("GET", version_path(name))["versions"]
    unpinned = [version for version in listed if "digest" not in version]
    return {**answer, "unpinned": unpinned}, _rows(answer["models"], unpinned)


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


def _rows(models: list[dict[str, Any]], unpinned: list[dict[str, Any]]) -> list[str]:
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
    rows += [
        (f"{row['model']}/{row['version']}", "not pinned", "–", row["asked_at"][:10], row["status_message"])
        for row in unpinned
    ]
    if not rows:
        return ["Nothing is registered yet. Begin with `countersign register PATH`."]
    return output.table(rows, ("VERSION", "STAGE", "CHECKS", "SINCE", "STILL TO SIGN"))
