"""Object stores: S3, Google Cloud Storage and Azure, through one library, with the intake worker's own access.

Clients name the bucket and the path, never the host: that is the cloud's, or what the operator set in the worker's
environment (AWS_ENDPOINT_URL, GOOGLE_BASE_URL, AZURE_STORAGE_ENDPOINT …), as are the credentials.
"""

import importlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from registry.intake.files import PIECE, Remote, Unresolved, within_limits
from registry.refusals import Invalid, Refusal, Unavailable

SCHEMES = ("s3", "s3a", "gs", "az", "abfss", "wasbs")
_NOT_OURS = ("NotFoundError", "PermissionDeniedError", "UnauthenticatedError")
_PATIENCE = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


def listed(source: str) -> list[Remote]:
    """Return the files under a prefix; Unresolved when there are none or the store does not know us."""
    url = urlsplit(source)
    store, prefix = _store(source), unquote(url.path).strip("/")
    try:
        found = [item for page in store.list(prefix or None) for item in page]
    except Refusal:
        raise
    except Exception as error:
        raise _refused(source, error) from error
    below = f"{prefix}/" if prefix else ""
    return within_limits(
        Remote(
            item["path"].removeprefix(below),
            item["size"],
            partial(_read, store, source, item["path"]),
            str(item.get("e_tag") or ""),
        )
        for item in found
        if item["path"].startswith(below) and not (item["path"].endswith("/") and not item["size"])
    )


def _store(source: str) -> Any:
    try:
        library = importlib.import_module("obstore.store")
    except ModuleNotFoundError as error:
        raise Unavailable("Object stores need obstore: install what the extra `worker` names beside this.") from error
    url = urlsplit(source)
    plain = os.environ.get("INTAKE_PLAIN_HTTP", "") == "1"  # for a store of one's own on a private network
    options = {"client_options": {"allow_http": plain, "timeout": "60s", "connect_timeout": "5s"}}
    try:
        if url.scheme in ("s3", "s3a"):
            return library.S3Store(url.netloc, retry_config=_PATIENCE, **options)
        if url.scheme == "gs":
            return library.GCSStore(url.netloc, retry_config=_PATIENCE, **options)
        container, _, host = url.netloc.partition("@")
        account = {"account_name": host.partition(".")[0]} if host else {}
        return library.AzureStore(container, retry_config=_PATIENCE, **account, **options)
    except Exception as error:
        raise _refused(source, error) from error


def _read(store: Any, source: str, path: str) -> Iterator[bytes]:
    try:
        for piece in store.get(path).stream(min_chunk_size=PIECE):
            yield bytes(piece)
    except Exception as error:
        raise _refused(source, error) from error


def _refused(source: str, error: Exception) -> Refusal:
    """Return what an error of the store means: it is away, or it does not let us in, or there is nothing."""
    kind, where = type(error).__name__, source[:100]
    if kind == "InvalidPathError":
        return Invalid(f"{where!r} holds an object with an empty or odd part in its name, which is not accepted.")
    if kind in _NOT_OURS or re.search(r"status: 4\d\d\b", str(error)):
        return Unresolved(f"{where!r} is not there, or the intake worker's access does not reach it ({kind}).")
    return Unavailable(f"The store of {where!r} does not answer ({kind}).")
