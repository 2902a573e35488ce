"""Send a file of rows as a data set, its columns described by the model's own schema. Loaded only when there is one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance.cli import output
from governance.cli.ends import Misused
from governance.cli.folders import Folder
from governance.cli.server import Server
from registry import mlmodel
from registry.refusals import Refusal
from registry.schema import SCORE


@dataclass(frozen=True)
class Roles:
    """Which columns are what, besides the features."""

    label: str | None
    time: str | None
    protected: Sequence[str]

    def named(self, role: str) -> list[dict[str, Any]]:
        """Return the columns that are no features in a data set of this role."""
        if role == "golden":
            return [{"name": SCORE, "role": "score"}]
        named = [(self.label, "label"), (self.time, "time"), *((name, "protected") for name in self.protected)]
        return [{"name": name, "role": kind} for name, kind in named if name]


def send(server: Server, folder: Folder, files: dict[str, Path], roles: Roles) -> dict[str, str]:
    """Register each file (role → path) once; return role → digest. The same bytes again are the same data set."""
    schema = _schema(folder)
    sent: dict[Path, str] = {}
    found = {}
    for role, path in files.items():
        if path not in sent:
            sent[path] = _send(server, path, role, _described(path, schema, roles.named(role)))
        found[role] = sent[path]
    return found


def _send(server: Server, path: Path, role: str, columns: list[dict[str, Any]]) -> str:
    told = {"name": path.name[:120], "columns": json.dumps(columns)}
    with path.open("rb") as opened, output.bar(path.stat().st_size, f"Sending {path.name}") as bar:
        answer = server.ask("POST", "/api/v1/datasets", data=told, files={"file": (path.name, Counted(opened, bar))})
    output.note(f"{role}: {path.name} is data set {answer['digest'][:12]}…, {answer['rows']:,} rows")
    return str(answer["digest"])


class Counted:
    """A file that tells a progress bar what was read of it."""

    def __init__(self, opened: Any, bar: Any) -> None:
        self._opened, self._bar = opened, bar

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data: bytes = self._opened.read(size)
        self._bar.update(len(data))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)


def _schema(folder: Folder) -> list[dict[str, Any]]:
    files = {file.name: file.path for file in folder.files}
    try:
        described = mlmodel.describe(files["MLmodel"].read_bytes(), files, lambda name: files[name].read_bytes())
    except Refusal as refusal:
        raise Misused(refusal.detail) from refusal
    if not described.schema:
        raise Misused(f"The features of {folder.path} are not known: {described.unservable}. Or give data by digest.")
    return [{**column, "role": "feature"} for column in described.schema]


def _described(path: Path, schema: list[dict[str, Any]], named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what of these columns is in a file, the features first, the others in its order, as they come every time.

    Of a file that is not Parquet all are told; the server says which it lacks.
    """
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return [*schema, *named]
    present = {name: place for place, name in enumerate(names)}
    others = sorted((column for column in named if column["name"] in present), key=lambda c: present[c["name"]])
    return [*(column for column in schema if column["name"] in present), *others]
