"""`countersign check`: run a policy's gate on a registered version, or on a folder before anything is registered."""

import json
from pathlib import Path
from typing import Any

import click

from governance.cli import ends, gates, options, output, rehearsing, versions
from governance.cli.server import Server, version_path

_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
_READ = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("version", type=options.Version(), required=False)
@click.option("--wait", is_flag=True, help="Start what was not checked yet and wait for it.")
@options.timeout
@click.option("--local", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Check this folder, here.")
@click.option("--holdout", type=_READ, help="--local: labelled rows that the model has not seen.")
@click.option("--reference", type=_READ, help="--local: the rows that the holdout is compared with.")
@click.option("--golden", type=_READ, help="--local: rows with the scores that the model gave them.")
@click.option("--label", help="--local: the column of the label.")
@click.option("--protected", multiple=True, help="--local: a protected column; may be repeated.")
@click.option("--policy", type=_READ, help="--local: rules in a file; by default the server's.")
@click.option("--model", help="--local: the model whose tier decides; by default the folder's name.")
@click.option("--tier", type=click.IntRange(1, 3), help="--local: the tier, where the model is not registered.")
@click.option("--junit", type=_FILE, help="Write JUnit XML to this file.")
@click.option("--report", type=_FILE, help="Write the JSON document to this file.")
@click.option("--summary", type=_FILE, help="Write Markdown for a pull request to this file.")
@click.option("-v", "--verbose", is_flag=True, help="Show the limits that are met too.")
@options.as_json
def command(**given: Any) -> int:
    """Run the policy's gate: show which number missed which limit of which line of the policy.

    With MODEL/VERSION the server's workers measure. With --local PATH the same code measures here, under the policy of
    the server (or of a file), before anything is registered; nothing leaves this machine.
    """
    if bool(given["local"]) == bool(given["version"]):
        raise click.UsageError("Give either MODEL/VERSION, or --local PATH.")
    gate = rehearsing.gate(given) if given["local"] else _served(Server(), given["version"], given)
    _write(given["junit"], lambda: gates.junit(gate))
    _write(given["report"], lambda: json.dumps(gate, indent=2, ensure_ascii=False).encode())
    _write(given["summary"], lambda: gates.markdown(gate).encode())
    output.tell(gate, gates.lines(gate, everything=given["verbose"]), as_json=given["as_json"])
    return ends.OK if gate["passed"] else ends.GATE


def _served(server: Server, version: tuple[str, int], given: dict[str, Any]) -> dict[str, Any]:
    """Return the gate as the server sees it; with --wait once every check is done."""
    name, number = version
    path = f"{version_path(name, number)}/gate"
    if not given["wait"]:
        return dict(server.ask("GET", path))
    versions.wait_until_pinned(server, name, number, seconds=given["timeout"])
    gate = server.ask("GET", path)
    if any(check["state"] == "unopened" for check in gate["checks"]):
        server.ask("POST", path)
    told: set[str] = set()
    for found in server.until(path, _finished, seconds=given["timeout"], what=f"The checks of {name}/{number}"):
        gate = found
        for check in gate["checks"]:
            if check["state"] == "done" and check["check"] not in told:
                told.add(check["check"])
                output.note(f"[{len(told)}/{len(gate['checks'])}] {check['check']}: {check['verdict']}")
    return dict(gate)


def _finished(gate: dict[str, Any]) -> bool:
    return bool(gate["done"])


def _write(path: Path | None, made: Any) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made())
    except OSError as error:
        raise ends.Misused(f"{path} cannot be written: {error.strerror}. Choose another file.") from error
