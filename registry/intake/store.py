"""The folder of the tracking server's artifacts, where this machine has it: files pass no second server then.

It lies as a stock server lays it out, so that either may write what the other reads. Where TRACKING_ARTIFACTS names no
folder, files pass through the server's API instead.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from django.conf import settings

from registry import durable
from registry.intake import folders
from registry.intake.files import Remote, Unresolved, part, within_limits
from registry.refusals import Invalid

_INCOMING = ".incoming"  # where files wait until they are whole


def is_here() -> bool:
    """Say whether the folder is on this machine."""
    return bool(settings.TRACKING_ARTIFACTS)


def holds(parts: Sequence[str]) -> bool:
    """Say whether there is a file or folder of this path below the root of all artifacts."""
    return _place(parts).exists()


def write(parts: Sequence[str], pieces: Iterable[bytes]) -> None:
    """Put a file under a path, whole or not at all; Invalid when a file stands where a folder must be, or turned round.

    It is not flushed to the disk: what is registered is, by the intake, which hashes what it reads here.
    """
    target, incoming = _place(parts), Path(settings.TRACKING_ARTIFACTS, _INCOMING)
    durable.sweep(incoming)
    try:
        with durable.arriving(incoming) as file:
            file.writelines(pieces)
            file.flush()
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(file.name).replace(target)
    except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise Invalid(f"{'/'.join(parts)[-200:]!r} cannot be both a file and a folder. Choose another name.") from error


def listed(root: str) -> list[Remote]:
    """Return the files below a path; Unresolved when there is none, Invalid, TooLarge as `folders.listed`."""
    folder = _place(root.split("/"))
    if not folder.is_dir():
        raise Unresolved("There is no file at this source. Log the model first, then register it.")
    return within_limits(folders.walk(folder))


def _place(parts: Sequence[str]) -> Path:
    return Path(settings.TRACKING_ARTIFACTS, *(part(name) for name in parts))
