"""`file:` sources: folders of this machine, under those that the operator allows (INTAKE_ROOTS); by default none."""

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings

from registry.intake.files import PIECE, Remote, Unresolved, part, within_limits
from registry.refusals import Invalid


def admit(source: str) -> None:
    """Refuse what is not under an allowed folder: the files of this machine are not the client's to name."""
    _within(source)


def listed(source: str) -> list[Remote]:
    """Return the files of a folder; Invalid at the first symbolic link, Unresolved when there is no such folder."""
    root, folder = _within(source)
    for place in (folder, *folder.parents):
        if place.is_symlink() and root in place.parents:
            raise _linked(place.relative_to(root))
    if not folder.is_dir():
        raise Unresolved(f"There is no folder {source[:100]!r}.")
    return within_limits(walk(folder))


def walk(root: Path) -> Iterator[Remote]:
    """Yield the files below a folder as they are met; Invalid at the first symbolic link or special file."""
    yield from _walk(root, root)


def _within(source: str) -> tuple[Path, Path]:
    """Return the allowed folder and the one named under it."""
    url = urlsplit(source)
    folder = Path(unquote(url.path))
    for root in settings.INTAKE_ROOTS:
        if url.netloc in ("", "localhost") and folder.is_absolute() and Path(root) in (folder, *folder.parents):
            return Path(root), folder
    raise Invalid(f"Artifacts cannot be taken from {source[:100]!r}: the files of this machine are not yours to name.")


def _walk(root: Path, folder: Path) -> Iterator[Remote]:
    for entry in sorted(os.scandir(folder), key=lambda found: found.name):
        path, found = Path(entry.path), entry.stat(follow_symlinks=False)
        part(entry.name)
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(root, path)
        elif stat.S_ISREG(found.st_mode):
            mark = f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}:{found.st_size}"
            yield Remote(str(path.relative_to(root)), found.st_size, partial(_read, path), mark)
        else:
            raise _linked(path.relative_to(root))


def _linked(path: Path) -> Invalid:
    return Invalid(
        f"{str(path)[:100]!r} is a symbolic link or no plain file, which could stand for anything on this machine. "
        "Copy what it points to and register the folder again."
    )


def _read(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a plain file; O_NOFOLLOW, since a link may have taken its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Invalid(f"{path.name[:100]!r} cannot be read ({error.strerror}).") from error
    with os.fdopen(descriptor, "rb") as file:
        while piece := file.read(PIECE):
            yield piece
