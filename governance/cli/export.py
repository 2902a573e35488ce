"""`countersign export`: issue a dossier and fetch it once its entries have their places in the log."""

import time
from pathlib import Path
from uuid import UUID

import click

from governance.cli import options, output
from governance.cli.ends import Misused, Unreachable
from governance.cli.server import Server


@click.command()
@click.argument("what", metavar="MODEL[/VERSION]|DECISION")
@click.option("-o", "--output", "path", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@options.timeout
@options.as_json
def command(what: str, path: Path, force: bool, timeout: float, as_json: bool) -> None:
    """Fetch the dossier of a version, a model, or one decision: a zip that verifies offline.

    Unpacked, it says how: python verify.py FOLDER. That it was issued is itself on record.
    """
    if path.exists() and not force:
        raise Misused(f"{path} is there already. Choose another file, or give --force.")
    if not path.parent.is_dir():
        raise Misused(f"There is no folder {path.parent}. Make it first.")
    server = Server()
    issued = server.ask("POST", "/api/v1/dossiers", json=_subject(what))
    archive = _archive(server, f"/api/v1/dossiers/{issued['dossier']}/archive", timeout)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(archive)
    draft.replace(path)
    answer = {**issued, "file": str(path), "bytes": len(archive)}
    lines = [f"{path}  {len(archive):,} bytes, dossier {issued['dossier']}", f"digest {issued['digest']}"]
    output.tell(answer, lines, as_json=as_json)


def _subject(what: str) -> dict[str, str | int]:
    try:
        return {"decision": str(UUID(what))}
    except ValueError:
        pass
    if "/" in what:
        name, number = options.Version().convert(what, None, None)
        return {"model": name, "version": number}
    return {"model": what}


def _archive(server: Server, path: str, seconds: float) -> bytes:
    """Return the archive; until the sequencer has given its entries their places, the server says 503."""
    end = time.monotonic() + seconds
    while True:
        try:
            return server.send("GET", path).content
        except Unreachable as waiting:
            if waiting.status != 503 or time.monotonic() > end:
                raise
            output.note("Its entries wait for their places in the log …")
