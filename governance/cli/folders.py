"""A model folder as it will be uploaded: every file with its size and SHA-256, and what its MLmodel says."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from governance.cli.ends import Misused

_CHUNK = 1 << 20


@dataclass(frozen=True)
class File:
    """One file: its path inside the folder (with slashes), where it lies, its size in bytes, its SHA-256."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Folder:
    """An MLflow model."""

    path: Path
    files: tuple[File, ...]
    document: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names and digests of all files: what an interrupted upload is recognised by."""
        return hashlib.sha256(json.dumps([(file.name, file.sha256) for file in self.files]).encode()).hexdigest()


def read(path: Path) -> Folder:
    """Return what a folder holds; Misused when it is no MLflow model, or holds what is no plain file."""
    if not (path / "MLmodel").is_file():
        raise Misused(
            f"{path} is not an MLflow model: it holds no file MLmodel. Save it with mlflow's save_model first."
        )
    found = sorted(item for item in path.rglob("*") if not item.is_dir() or item.is_symlink())
    odd = [item for item in found if item.is_symlink() or not item.is_file()]
    if odd:
        raise Misused(f"{odd[0]} is a link or no plain file. Put the file itself there, or take it out.")
    return Folder(path, tuple(_file(path, item) for item in found), _document(path / "MLmodel"))


def _file(folder: Path, path: Path) -> File:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return File(path.relative_to(folder).as_posix(), path, path.stat().st_size, digest.hexdigest())


def _document(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misused(f"{path} is not YAML: {str(error).splitlines()[0]}. Save the model again.") from error
    if not isinstance(found, dict):
        raise Misused(f"{path} is not of MLflow's form. Save the model again.")
    return found
