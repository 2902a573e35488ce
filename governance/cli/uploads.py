"""Upload a model folder to the tracking server's artifacts, and go on where an earlier attempt was interrupted.

What has arrived is noted after each file in a small file of our own, named by server, model and the folder's digest;
it goes once the version is registered.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

import platformdirs

from governance.cli import output
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
    with output.bar(folder.size, label) as bar:
        bar.update(folder.size - sum(file.size for file in missing))
        for file in missing:
            _put(server, upload, file, bar.update)
            upload.done.append(file.name)
            note.write(upload)
    told = {"model_id": upload.model_id, "status": "LOGGED_MODEL_READY"}
    server.ask("PATCH", f"{_MLFLOW}/logged-models/{upload.model_id}", json=told)


def _put(server: Server, upload: Upload, file: File, moved: Callable[[int], None]) -> None:
    """Upload one file. One that is there already, and as long, arrived while its answer was lost.

    Nothing is written over there; at the end its digest is compared.
    """
    place = f"{upload.root}/{file.name}"
    told = {"Content-Length": str(file.size), "Content-Type": "application/octet-stream"}
    try:
        server.send("PUT", f"{_ARTIFACTS}/{quote(place)}", headers=told, body=_body(file, moved))
    except Refused:
        if _length(server, place) != file.size:
            raise


def _length(server: Server, place: str) -> int | None:
    """Return how many bytes an artifact has; None where there is none."""
    folder, _, name = place.rpartition("/")
    found = server.ask("GET", _ARTIFACTS, params={"path": folder}).get("files", ())
    sizes = [item.get("file_size") for item in found if item["path"].rpartition("/")[2] == name]
    return int(sizes[0]) if sizes and sizes[0] is not None else None


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
