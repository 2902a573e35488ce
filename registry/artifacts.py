"""Bytes in and out by their SHA-256, verified on every read."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from registry.refusals import Mismatch, Refusal, Unavailable


def put(data: bytes) -> str:
    """Keep these bytes (once, however often they come) and return their digest."""
    digest = hashlib.sha256(data).hexdigest()
    store = storages["artifacts"]
    with _store_answers():
        if not store.exists(_path(digest)):
            store.save(_path(digest), ContentFile(data))
        elif hashlib.sha256(_stored(digest)).hexdigest() != digest:
            store.delete(_path(digest))
            store.save(_path(digest), ContentFile(data))
    return digest


def get(digest: str) -> bytes:
    """Return the bytes of a digest; Mismatch when the store holds none or others."""
    data = _stored(digest)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise Mismatch(
            f"The stored bytes of artifact {digest[:12]}… hash to {found[:12]}…: they were changed after they were "
            "registered. Nothing built on them is used. Restore the file from a backup, or register the version again."
        )
    return data


def files(manifest: Mapping[str, Mapping[str, object]]) -> dict[str, bytes]:
    """Return path → bytes of every file of a version's manifest, each verified."""
    return {path: get(str(entry["sha256"])) for path, entry in manifest.items()}


def _stored(digest: str) -> bytes:
    try:
        with _store_answers(), storages["artifacts"].open(_path(digest)) as file:
            data: bytes = file.read()
            return data
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
