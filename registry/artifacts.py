"""Bytes in and out by their SHA-256, verified on every read: whole, or in pieces where they are many."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import storages

from registry import durable
from registry.refusals import Mismatch, Refusal, Unavailable

_PIECE = 1024 * 1024  # bytes read at a time
_IN_MEMORY = 8 * 1024 * 1024  # bytes of a file that is being received; what is larger waits on disk


def put(data: bytes) -> str:
    """Keep these bytes (once, however often they come) and return their digest."""
    digest = hashlib.sha256(data).hexdigest()
    _keep(digest, lambda name: storages["artifacts"].save(name, ContentFile(data)))
    return digest


def receive(pieces: Iterable[bytes]) -> tuple[str, int]:
    """Keep what comes piece by piece and return its digest and size; never more than a few pieces are in memory."""
    hashed, size = hashlib.sha256(), 0
    with _arriving() as (file, save), ThreadPoolExecutor(1) as beside:
        for piece in pieces:
            hashing = beside.submit(hashed.update, piece)  # while it is written: both let other threads run
            size += len(piece)
            with _store_answers():
                file.write(piece)
            hashing.result()
        _keep(hashed.hexdigest(), save)
    return hashed.hexdigest(), size


@contextmanager
def _arriving() -> Iterator[tuple[IO[bytes], Callable[[str], object]]]:
    """Yield a file to write to, and what puts it under its name in the store: on a disk of ours without a copy."""
    store = storages["artifacts"]
    with ExitStack() as stack:
        file: IO[bytes]
        with _store_answers():
            if isinstance(store, durable.Storage):
                file = stack.enter_context(store.arriving())
                save: Callable[[str], object] = partial(store.settle, file)
            else:
                file = stack.enter_context(SpooledTemporaryFile(_IN_MEMORY, dir=settings.FILE_UPLOAD_TEMP_DIR))
                save = partial(store.save, content=File(file, name="received"))
        yield file, save


def keep(file: IO[bytes]) -> str:
    """Keep a file that can be read again from its beginning, and return its digest."""
    content = File(file, name="kept")
    digest = _digest(content)
    _keep(digest, lambda name: storages["artifacts"].save(name, content))
    return digest


@contextmanager
def scratch() -> Iterator[IO[bytes]]:
    """Yield a file without a name for what is being made; nothing is left of it when this process is killed."""
    with _store_answers():
        file = TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - closed below, errors told apart
    with file:
        yield file


def _keep(digest: str, save: Callable[[str], object]) -> None:
    """Let `save` put bytes under the name of their digest, unless they are there."""
    store = storages["artifacts"]
    with _store_answers():
        if not store.exists(_path(digest)):
            save(_path(digest))
        elif rehash(digest) != digest:
            store.delete(_path(digest))
            save(_path(digest))


def lay(digest: str, target: Path) -> None:
    """Put the bytes of a digest under a new name to be read there: by a link where the store is on this disk.

    They are not verified then, so this is for bytes that were just stored, or are verified elsewhere.
    """
    store = storages["artifacts"]
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(store, durable.Storage):
        with suppress(OSError):  # another disk, or one without links
            os.link(store.path(_path(digest)), target)
            return
    copy(digest, target)


def copy(digest: str, target: Path) -> None:
    """Write the bytes of a digest to a new file; Mismatch when they are others than were stored."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hashed = hashlib.sha256()
    with _opened(digest) as file, target.open("xb") as written:
        for piece in file.chunks():
            hashed.update(piece)
            written.write(piece)
    _demand(digest, hashed.hexdigest())


def missing(digest: str) -> bool:
    """Say whether the store has no file under a digest."""
    with _store_answers():
        return not storages["artifacts"].exists(_path(digest))


def rehash(digest: str) -> str:
    """Return the digest that the bytes stored under a digest have now; Mismatch when there are none."""
    with _opened(digest) as file:
        return _digest(file)


def tail(digest: str, most: int) -> bytes:
    """Return the last bytes of what was just stored under a digest, at the most so many; they are not verified."""
    with _opened(digest) as file:
        file.seek(max(0, file.size - most))
        data: bytes = file.read(most)
        return data


def get(digest: str) -> bytes:
    """Return the bytes of a digest; Mismatch when the store holds none or others."""
    data = _stored(digest)
    _demand(digest, hashlib.sha256(data).hexdigest())
    return data


@contextmanager
def opened(digest: str) -> Iterator[File]:
    """Yield the bytes of a digest as a file that can be sought in, hashed before; Mismatch as `get`."""
    with _found(digest), _store_answers():
        file = storages["artifacts"].open(_path(digest))
    with file:
        with _found(digest), _store_answers():
            found = _digest(file)
        _demand(digest, found)
        file.seek(0)
        yield file


def files(manifest: Mapping[str, Mapping[str, object]]) -> dict[str, bytes]:
    """Return path → bytes of every file of a version's manifest, each verified."""
    return {path: get(str(entry["sha256"])) for path, entry in manifest.items()}


def _stored(digest: str) -> bytes:
    with _opened(digest) as file:
        data: bytes = file.read()
        return data


def _digest(file: File) -> str:
    """Return the digest of a file, read in pieces."""
    digest = hashlib.sha256()
    for chunk in file.chunks(_PIECE):
        digest.update(chunk)
    return digest.hexdigest()


def _demand(digest: str, found: str) -> None:
    if found != digest:
        raise Mismatch(
            f"The stored bytes of artifact {digest[:12]}… hash to {found[:12]}…: they were changed after they were "
            "registered. Nothing built on them is used. Restore the file from a backup, or register the version again."
        )


@contextmanager
def _opened(digest: str) -> Iterator[File]:
    with _found(digest), _store_answers(), storages["artifacts"].open(_path(digest)) as file:
        yield file


@contextmanager
def _found(digest: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Mismatch(f"Artifact {digest[:12]}… is not in the store. Restore it, or register it again.") from error


@contextmanager
def _store_answers() -> Iterator[None]:
    """Tell a store that fails from one that holds the wrong bytes: each kind of store raises errors of its own."""
    try:
        yield
    except (Refusal, FileNotFoundError):
        raise
    except Exception as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise Unavailable(f"The artifact store fails ({why}). Nothing was done; mend it, then try again.") from error


def _path(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:4]}/{digest}"
