"""`countersign register`: upload a model folder, register it as the next version, wait until it is pinned."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from governance.cli import folders, git, options, output, uploads, versions
from governance.cli.ends import Refused
from governance.cli.folders import Folder
from governance.cli.server import Server, version_path

ROLES = ("training", "reference", "holdout", "golden")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_MLFLOW = "/api/2.0/mlflow"


class Data(click.ParamType):
    """A data set: the SHA-256 of one that is registered, or a file that will be."""

    name = "digest|file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | Path:
        """Return its 64 hexadecimal digits, or the path."""
        if isinstance(value, Path) or Path(value).is_file():
            return Path(value)
        found = _DIGEST.fullmatch(value.lower())
        if found is None:
            self.fail(f"{value!r} is neither a file nor the digest of a data set (64 hexadecimal digits).", param, ctx)
        return found[1]


def _data_options(command: Any) -> Any:
    for role in reversed(ROLES):
        command = click.option(f"--{role}", type=Data(), help=f"The {role} data set.")(command)
    return command


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", help="Name of the model; by default the folder's.")
@click.option("--tag", "tags", type=options.Pair(), multiple=True, help="A tag of the version; may be repeated.")
@_data_options
@click.option("--label", help="The column of the label, in files of data.")
@click.option("--time", help="The column of the time, in files of data.")
@click.option("--protected", multiple=True, help="A protected column in files of data; may be repeated.")
@click.option("--description", default="", help="What is new in this version.")
@click.option("--no-git", is_flag=True, help="Do not record the commit of the folder's git repository.")
@options.timeout
@options.as_json
def command(path: Path, model: str | None, no_git: bool, timeout: float, as_json: bool, **given: Any) -> None:
    """Upload the MLflow model in the folder PATH and register it as the next version of a model.

    A model that is not registered yet is registered first. An upload that was interrupted goes on where it was when the
    same is called again. At the end the server's digests are compared with those of the files here.

    Data sets are named by digest, or given as files (Parquet), which are registered first.
    """
    folder = folders.read(path)
    name = model or path.resolve().name
    server = Server()
    data = _data(server, folder, given)
    new = _ensure_model(server, name)
    tags = {**dict(given["tags"]), **{f"countersign.{role}": digest for role, digest in data.items()}}
    note = uploads.Note(server, name, folder)
    upload = note.read()
    if upload is None or not uploads.known(server, upload):
        upload = uploads.begin(server, name, _run(server, name, folder, {} if no_git else git.tags(path)))
        note.write(upload)
    uploads.send(server, folder, upload, note)
    number = _create(server, name, upload, tags, given["description"])
    ready = _pinned(server, name, number, note, timeout)
    held = server.ask("GET", version_path(name, number))
    _compare(folder, held)
    answer = {
        "model": name,
        "version": number,
        "digest": held["digest"],
        "status": ready["status"],
        "message": ready.get("status_message") or "",
        "source": upload.source,
        "data": data,
        "files": len(folder.files),
        "bytes": folder.size,
        "new_model": new,
        "url": f"{server.account.url}/models/{name}/versions/{number}",
    }
    lines = [f"{name}/{number} is registered", f"digest  {held['digest']}", f"see     {answer['url']}"]
    output.tell(answer, [*lines, *output.wrapped(answer["message"], 0)], as_json=as_json)


def _data(server: Server, folder: Folder, given: dict[str, Any]) -> dict[str, str]:
    """Return role → digest of the data sets that were named; files are registered now."""
    named = {role: given[role] for role in ROLES if given[role]}
    files = {role: path for role, path in named.items() if isinstance(path, Path)}
    if not files:
        return named
    datasets = import_module("governance.cli.datasets")  # it reads Parquet, which nothing else here does
    return {
        **named,
        **datasets.send(server, folder, files, datasets.Roles(given["label"], given["time"], given["protected"])),
    }


def _ensure_model(server: Server, name: str) -> bool:
    """Register the model unless it is; say whether it was new. One that is new counts as the most material."""
    try:
        server.ask("GET", version_path(name))
    except Refused as unknown:
        if unknown.status != 404:
            raise
        server.ask("POST", "/api/v1/models", json={"name": name})
        output.note(f"The model {name} was not registered yet; it is now.")
        return True
    return False


def _run(server: Server, name: str, folder: Folder, commit: dict[str, str]) -> str:
    """Return the run that made the model: the one that its MLmodel names if it is ours on this server, or a new one."""
    named = folder.document.get("run_id")
    if isinstance(named, str) and named:
        return named if _is_mine(server, named) else ""  # the version's lineage names it all the same
    told = {
        "experiment_id": uploads.experiment(server, name),
        "run_name": "countersign register",
        "tags": [{"key": key, "value": value} for key, value in commit.items()],
    }
    run_id = str(server.ask("POST", f"{_MLFLOW}/runs/create", json=told)["run"]["info"]["run_id"])
    server.ask("POST", f"{_MLFLOW}/runs/update", json={"run_id": run_id, "status": "FINISHED"})
    return run_id


def _is_mine(server: Server, run_id: str) -> bool:
    try:
        info = server.ask("GET", f"{_MLFLOW}/runs/get", params={"run_id": run_id})["run"]["info"]
    except Refused:
        return False
    return bool(info.get("user_id") == server.ask("GET", "/api/v1/whoami")["username"])


def _create(server: Server, name: str, upload: uploads.Upload, tags: dict[str, str], description: str) -> int:
    """Create the version, unless an attempt whose answer was lost did so already; return its number."""
    found = versions.of_source(server, name, upload.source)
    if found is None:
        told = {
            "name": name,
            "source": upload.source,
            "model_id": upload.model_id,
            "description": description,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        found = server.ask("POST", f"{_MLFLOW}/model-versions/create", json=told)["model_version"]
    return int(found["version"])


def _pinned(server: Server, name: str, number: int, note: uploads.Note, seconds: float) -> dict[str, Any]:
    """Wait for the end of the intake, whichever it is; only then is the upload forgotten."""
    try:
        said = versions.wait_until_pinned(server, name, number, seconds=seconds)
    except versions.NotAccepted:
        note.forget()
        raise
    note.forget()
    return said


def _compare(folder: Folder, held: dict[str, Any]) -> None:
    """Refuse to call it registered when the server holds other bytes than the folder."""
    if "artifact" not in held:
        raise Refused(f"The server holds no files of it. {held.get('status_message', '')}")
    theirs = {name: entry["sha256"] for name, entry in held["artifact"].items()}
    ours = {file.name: file.sha256 for file in folder.files}
    other = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if other:
        raise Refused(
            f"The server holds other bytes than {folder.path}: {', '.join(other[:5])}. Do not use this version. Did "
            "the folder change while it was uploaded? Register it again."
        )
