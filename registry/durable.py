"""Files that a power cut leaves whole: under a name stand either the old bytes or the new ones, never half of them."""

import os
import secrets
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


def write(path: Path, data: bytes, *, mode: int | None = None, folder_mode: int | None = None) -> None:
    """Put bytes under a name: a temporary file beside it, fsync, rename, fsync of every folder that changed.

    `mode`, `folder_mode`: permissions of the file and of folders that are made for it; None leaves them to the umask.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(made):
        folder.mkdir(exist_ok=True)
        if folder_mode is not None:
            folder.chmod(folder_mode)
    fresh = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with fresh.open("xb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
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
        modes = {"mode": self.file_permissions_mode, "folder_mode": self.directory_permissions_mode}
        write(Path(self.path(name)), content.read(), **modes)
        return name
