"""Files that a power cut leaves whole: under a name stand either the old bytes or the new ones, never half of them."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from registry.refusals import Mismatch

_AT_ONCE = 8  # files flushed together
_INCOMING = ".incoming"  # the folder of a store where files wait until they are whole
_BEGUN = 60  # seconds after which a temporary file that nobody holds was left by somebody who died


def write(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put bytes under a name: a temporary file beside it, fsync, rename, fsync of every folder that changed.

    `mode`: permissions of the file; None leaves them to the umask.
    """
    write_pieces(path, [data], through=path.parent, mode=mode)


def write_pieces(
    path: Path, pieces: Iterable[bytes], *, through: Path, mode: int | None = None, folder_mode: int | None = None
) -> None:
    """Put bytes that come in pieces under a name, as `write` does; no more than a piece is held in memory.

    `through`: the folder of the temporary file, on the same file system. `mode`, `folder_mode`: permissions of the
    file and of folders that are made for it; None leaves them to the umask.
    """
    with arriving(through, mode=mode, folder_mode=folder_mode) as file:
        file.writelines(pieces)
        settle(file, path, folder_mode=folder_mode)


@contextmanager
def arriving(through: Path, *, mode: int | None = None, folder_mode: int | None = None) -> Iterator[IO[bytes]]:
    """Yield a new file in a folder, to be written and then `settle`d; nothing is left of it otherwise."""
    _made(through, folder_mode)
    fresh = through / f".{secrets.token_hex(8)}"
    try:
        with fresh.open("xb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
    finally:
        if fresh.exists():
            fresh.unlink()


def settle(file: IO[bytes], path: Path, *, folder_mode: int | None = None) -> None:
    """Give a file that has arrived its name, on the same file system, so that a power cut leaves both or neither."""
    made = _made(path.parent, folder_mode)
    _name(file, path)
    for folder in (path.parent, *(folder.parent for folder in made)):
        _sync(folder)


def _name(file: IO[bytes], path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    Path(file.name).replace(path)


def _made(folder: Path, mode: int | None) -> list[Path]:
    """Make a folder and those above it that are missing; return them."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(made):
        one.mkdir(exist_ok=True)
        if mode is not None:
            one.chmod(mode)
    return made


def sweep(folder: Path) -> int:
    """Remove the temporary files of writers that died, and return how many; the living hold a lock on theirs."""
    swept = 0
    for path in folder.glob(".*"):
        with suppress(OSError), path.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _BEGUN:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                swept += 1
    return swept


def write_new(files: Mapping[Path, bytes]) -> None:
    """Put many files under names that never mean anything else: those that are there must hold these very bytes.

    All of them, or of what is missing some, are on disk when this ends by an error; it may be repeated. Mismatch, and
    nothing written, when a name stands for other bytes.
    """
    missing = {path: data for path, data in files.items() if not _holds(path, data)}
    folders = {path.parent for path in missing}
    made = [parent for folder in folders for parent in (folder, *folder.parents) if not parent.exists()]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # the disk joins flushes that wait together
        list(pool.map(_put, missing, missing.values()))
        list(pool.map(_sync, folders | {folder.parent for folder in made}))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until this process alone holds the lock file of this name; it is let go when the process ends, however."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Yield whether nobody else holds the lock file of this name, and hold it until the end; nobody waits for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _holds(path: Path, data: bytes) -> bool:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return False
    if found != data:
        raise Mismatch(f"{path} holds other bytes than belong there: somebody changed it, or keeps another log there.")
    return True


def _put(path: Path, data: bytes) -> None:
    with arriving(path.parent) as file:
        file.write(data)
        _name(file, path)


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
        with self.arriving() as file:
            file.writelines(content.chunks())
            self.settle(file, name)
        return name

    @contextmanager
    def arriving(self) -> Iterator[IO[bytes]]:
        """Yield a file for bytes that get their name by `settle`, once they are all there and it is known."""
        through = Path(self.location) / _INCOMING
        sweep(through)
        modes = {"mode": self.file_permissions_mode, "folder_mode": self.directory_permissions_mode}
        with arriving(through, **modes) as file:
            yield file

    def settle(self, file: IO[bytes], name: str) -> None:
        """Give a file that has arrived its name."""
        settle(file, Path(self.path(name)), folder_mode=self.directory_permissions_mode)
