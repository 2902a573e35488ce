"""`countersign submit`: ask that a version be approved, with what is approved as one unit with it."""

import json
from pathlib import Path
from typing import Any

import click
import yaml

from governance.cli import options, output
from governance.cli.ends import Misused
from governance.cli.server import Server, version_path

PARTS = ("bands", "reasons", "fallback", "reason")


@click.command()
@click.argument("version", type=options.Version())
@click.option("--plan", "plan", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reason", help="Why it should decide; else the plan says it.")
@options.as_json
def command(version: tuple[str, int], plan: Path, reason: str | None, as_json: bool) -> None:
    """Ask that a version become champion with the bands of a plan; then others sign.

    The plan is a YAML or JSON file:

    \b
      reason: It finds more fraud.
      bands:                       # by rising score, the first from 0
        - {name: allow,  from: 0,   action: let through}
        - {name: review, from: 0.1, action: send to an analyst}
        - {name: block,  from: 0.5, action: decline}
      fallback: {band: review}     # optional: answered when nothing can be scored
      reasons:                     # optional: feature, code and text; for others too: investigator, restricted, family
        amount: {code: R01, text: The amount is unusual, investigator: Compare with the last 90 days}
        watchlist: {code: S01, text: Screening, restricted: true}
    """
    name, number = version
    server = Server()
    asked = {**_read(plan), **({"reason": reason} if reason else {})}
    if not asked.get("reason"):
        raise Misused(f"Say why: --reason, or `reason` in {plan}. It is kept in the audit trail.")
    made = server.ask("POST", f"{version_path(name, number)}/requests", json=asked)
    stage = server.ask("GET", f"{version_path(name, number)}/stage")
    answer = {"model": name, "version": number, **made, "stage": stage["stage"], "owed": stage["owed"]}
    owed = ", ".join(f"{count} × {role}" for role, count in stage["owed"].items())
    lines = [
        f"Approval of {name}/{number} was asked for: request {made['request']}",
        f"digest   {made['digest']}",
        f"package  {made['package']}",
        f"Still to sign: {owed or 'nobody'}. They sign at {server.account.url}/models/{name}/versions/{number}",
    ]
    output.tell(answer, lines, as_json=as_json)


def _read(plan: Path) -> dict[str, Any]:
    try:
        text = plan.read_text()
        found = json.loads(text) if plan.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Misused(f"{plan} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict) or "bands" not in found or set(found) - set(PARTS):
        raise Misused(f"{plan} must hold bands, and may hold {', '.join(PARTS[1:])}; see `countersign submit --help`.")
    return found
