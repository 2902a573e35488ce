"""A file that a source offers, and the limits on how many, how large, how deep and under which names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from registry.refusals import Invalid, TooLarge, Unknown

PIECE = 1024 * 1024  # bytes that are held at once
MOST_FILES = 2000
DEEPEST = 20
LONGEST_PATH = 500
_PART = re.compile(r"[^/\\\x00-\x1f\x7f]+")


class Unresolved(Unknown):
    """A source that cannot be found, reached or understood: nothing is known of its files."""


@dataclass(frozen=True)
class Remote:
    """A file of a source. `mark`: what changes with its bytes, where the source says that (an ETag); empty: nothing."""

    path: str
    size: int
    pieces: Callable[[], Iterator[bytes]]
    mark: str = ""


@dataclass(frozen=True)
class Offered:
    """What a source offers: the files of a model, and what the run that made them recorded.

    `inputs`: data sets and models that the run read, as `registry.lineage` tells them.
    """

    files: list[Remote]
    run_id: str = ""
    model_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)


def part(name: Any) -> str:
    """Return one part of a path; Invalid when it could mean another place."""
    if not isinstance(name, str) or not _PART.fullmatch(name) or name in ("..", "."):
        raise Invalid(f"The artifact holds a file with the name {str(name)[:100]!r}, which is not accepted.")
    return name


def within_limits(found: Iterable[Remote]) -> list[Remote]:
    """Return the files in the order of their paths; TooLarge or Invalid as soon as they are known to be too much."""
    files: dict[str, Remote] = {}
    total = 0
    for file in found:
        parts = file.path.split("/")
        if len(parts) > DEEPEST or len(file.path) > LONGEST_PATH:
            raise TooLarge(
                f"The artifact has folders more than {DEEPEST} deep, or paths beyond {LONGEST_PATH} letters."
            )
        if any(part(name) != name for name in parts) or file.path in files:
            raise Invalid(f"The artifact names {file.path[:100]!r} twice.")
        total += file.size
        files[file.path] = file
        if total > settings.UPLOAD_LIMIT or len(files) > MOST_FILES:
            raise TooLarge(f"The model has more than {MOST_FILES} files or {settings.UPLOAD_LIMIT} bytes.")
    if not files:
        raise Unresolved("There is no file at this source. Log the model first, then register it.")
    return [files[path] for path in sorted(files)]


def counted(file: Remote) -> Iterator[bytes]:
    """Yield a file's bytes; TooLarge or Invalid when they are other than the source said: it is still being written."""
    left = file.size
    for piece in file.pieces():
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise Invalid(f"{file.path[:100]} changed while it was read. Register the version again once it is written.")
