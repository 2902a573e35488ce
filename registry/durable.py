"""Files that a power cut leaves whole: under a name stand either the old bytes or the new ones, never half of them."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


def write(path: Path, data: bytes) -> None:
    """Put bytes under a name: a temporary file beside it, fsync, rename, fsync of every folder that changed."""
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)  # noqa: S103 - a temporary file is private; what it becomes is read by others
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    for folder in (path.parent, *(folder.parent for folder in made)):
        _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Storage(FileSystemStorage):
    """Django's file storage for bytes named by their digest: durable, and a name is never given a second form."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Keep the name: whoever stores it at the same moment stores the same bytes."""
        return name

    def _save(self, name: str, content: File) -> str:
        write(Path(self.path(name)), content.read())
        return name
