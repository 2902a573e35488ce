"""Upload a model folder to the tracking server's artifacts, and go on where an earlier attempt was interrupted.

What has arrived is noted after each file in a small file of our own, named by server, model and the folder's digest;
it goes once the version is registered.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

import click
import platformdirs

from governance.cli.ends import Refused
from governance.cli.folders import File, Folder
from governance.cli.server import Body, Server

_CHUNK = 256 * 1024
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_MLFLOW = "/api/2.0/mlflow"


@dataclass
class Upload:
    """A logged model on the tracking server, and which of its files have arrived."""

    model_id: str
    root: str
    run_id: str = ""
    done: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """What a version is registered from."""
        return f"models:/{self.model_id}"


class Note:
    """The file in which an upload is remembered."""

    def __init__(self, server: Server, model: str, folder: Folder) -> None:
        told = json.dumps([server.account.url, model, folder.digest])
        name = f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.json"
        self.path = Path(platformdirs.user_state_dir("countersign")) / "uploads" / name

    def read(self) -> Upload | None:
        """Return the upload that was interrupted, if there is one."""
        try:
            return Upload(**json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, upload: Upload) -> None:
        """Remember how far it is."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(upload)))
        draft.replace(self.path)

    def forget(self) -> None:
        """The version is registered."""
        self.path.unlink(missing_ok=True)


def begin(server: Server, model: str, run_id: str) -> Upload:
    """Make a logged model, of a run if one is given, in the experiment that is named as the model."""
    told = {
        "experiment_id": experiment(server, model),
        "name": "model",
        **({"source_run_id": run_id} if run_id else {}),
    }
    info = server.ask("POST", f"{_MLFLOW}/logged-models", json=told)["model"]["info"]
    return Upload(info["model_id"], info["artifact_uri"].partition(":/")[2].strip("/"), run_id)


def known(server: Server, upload: Upload) -> bool:
    """Say whether the tracking server still has the logged model that an upload goes to."""
    try:
        server.ask("GET", f"{_MLFLOW}/logged-models/{upload.model_id}")
    except Refused:
        return False
    return True


def experiment(server: Server, name: str) -> str:
    """Return the number of the experiment of a name, made now if there is none."""
    try:
        found = server.ask("GET", f"{_MLFLOW}/experiments/get-by-name", params={"experiment_name": name})
        return str(found["experiment"]["experiment_id"])
    except Refused as unknown:
        if unknown.status != 404:
            raise
    return str(server.ask("POST", f"{_MLFLOW}/experiments/create", json={"name": name})["experiment_id"])


def send(server: Server, folder: Folder, upload: Upload, note: Note) -> None:
    """Upload the files that have not arrived, with a progress bar on stderr; note each that has."""
    missing = [file for file in folder.files if file.name not in upload.done]
    label = f"Uploading {len(missing)} of {len(folder.files)} files"
    with click.progressbar(length=folder.size, label=label, file=sys.stderr, width=30, show_pos=False) as bar:
        bar.update(folder.size - sum(file.size for file in missing))
        for file in missing:
            path = f"{_ARTIFACTS}/{quote(f'{upload.root}/{file.name}')}"
            length = {"Content-Length": str(file.size), "Content-Type": "application/octet-stream"}
            server.send("PUT", path, headers=length, body=_body(file, bar.update))
            upload.done.append(file.name)
            note.write(upload)
    server.ask(
        "PATCH",
        f"{_MLFLOW}/logged-models/{upload.model_id}",
        json={"model_id": upload.model_id, "status": "LOGGED_MODEL_READY"},
    )


def _body(file: File, moved: Callable[[int], None]) -> Body:
    """Return a function that gives the bytes of a file; called again, it takes its progress back first."""
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        moved(-sent)
        sent = 0
        with file.path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                yield chunk
                sent += len(chunk)
                moved(len(chunk))

    return body
