"""Fetch the files of a model from where a client says they are: the tracking server, by its artifact API.

Sources understood: `models:/m-…` and `runs:/…` (the tracking server is asked where they are), `mlflow-artifacts:/…`.
Anything else is refused: a path on this machine or a foreign host is not ours to read.
"""

import math
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
from django.conf import settings

from registry.refusals import Invalid, TooLarge, Unavailable, Unknown

_PART = re.compile(r"[^/\\\0]+")
_LOGGED = re.compile(r"models:/(m-[\w-]+)")
_MOST_FILES = 2000
_DEEPEST = 20


class Unresolved(Unknown):
    """A source of a kind that is not fetched."""


@dataclass(frozen=True)
class Fetched:
    """The files of a model, by path, and what the run that made them recorded."""

    files: dict[str, bytes]
    run_id: str = ""
    model_id: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def client() -> httpx.Client:
    """Return a client of the tracking server: our own over its private socket, or the one of TRACKING_URL."""
    if settings.TRACKING_SOCKET:
        # No TLS is spoken over the socket: an empty context spares each client the reading of every authority.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = httpx.HTTPTransport(uds=settings.TRACKING_SOCKET, verify=context)
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=30)
    if settings.TRACKING_URL:
        return httpx.Client(base_url=settings.TRACKING_URL, timeout=30)
    raise Unavailable("No tracking server is configured. Set TRACKING_URL, or start the platform with `make run`.")


def admit(source: str) -> None:
    """Refuse a source that can never be taken, without looking for it: Invalid says why."""
    plain = source
    while (decoded := unquote(plain)) != plain:
        plain = decoded
    try:
        url = urlsplit(plain)
    except ValueError as error:  # brackets that are no IPv6 address
        raise Invalid(f"Artifacts cannot be taken from {source[:100]!r}: it is no address.") from error
    if not plain.isprintable() or any(part in ("..", ".") for part in re.split(r"[/\\]", plain)):
        raise Invalid(f"Artifacts cannot be taken from {source[:100]!r}: it has '.' or '..' parts, or odd letters.")
    if url.scheme in ("", "file"):
        raise Invalid(f"Artifacts cannot be taken from {source[:100]!r}: the files of this machine are not yours.")
    if "@" in url.netloc or url.password:
        raise Invalid("Artifacts cannot be taken from an address with a password in it: it would be kept for ever.")


def fetch(source: str, run_id: str = "", model_id: str = "") -> Fetched:
    """Return the files behind a source; Unknown, Invalid, TooLarge or Unavailable say why there are none."""
    with client() as tracking:
        try:
            return _fetch(tracking, source, run_id, model_id)
        except httpx.TransportError as error:
            raise Unavailable(f"The tracking server does not answer ({type(error).__name__}). Try again.") from error


def _fetch(tracking: httpx.Client, source: str, run_id: str, model_id: str) -> Fetched:
    logged: Mapping[str, Any] = {}
    named = _LOGGED.fullmatch(source.rstrip("/"))
    if named or model_id:
        model_id = _same("model", model_id, named[1] if named else "")
        logged = _ask(tracking, f"/api/2.0/mlflow/logged-models/{quote(model_id, safe='')}")["model"]
        place = logged["info"]["artifact_uri"]
        source = place if named else _same("source", source.rstrip("/"), place)
        run_id = _same("run", run_id, logged["info"].get("source_run_id", ""))
    elif source.startswith("runs:/"):
        named_run, _, path = source.removeprefix("runs:/").partition("/")
        run_id = _same("run", run_id, named_run)
        source = f"{_run(tracking, run_id)['info']['artifact_uri']}/{path}"
    root = _root(source)
    run = _run(tracking, run_id) if run_id else {"info": {}, "data": {}}
    if run_id and not logged and not f"{root}/".startswith(f"{_root(run['info']['artifact_uri'])}/"):
        raise Invalid(f"{source} is not an artifact of run {run_id}. Register a logged model as models:/<its id>.")
    return Fetched(
        files=dict(_download(tracking, root)),
        run_id=run_id,
        model_id=model_id,
        parameters=_pairs(run["data"].get("params")) | _pairs(logged.get("data", {}).get("params")),
        metrics=_numbers(run["data"].get("metrics")),
        tags=_pairs(run["data"].get("tags")),
    )


def _same(what: str, claimed: str, known: str) -> str:
    """Return the one of two names of a thing; Invalid when they name different things, for lineage must not lie."""
    if claimed and known and claimed != known:
        raise Invalid(f"The {what} is said to be {claimed}, but the tracking server knows {known}. Leave it out.")
    return known or claimed


def _pairs(items: Any) -> dict[str, str]:
    return {item["key"]: item["value"] for item in items or () if "value" in item}


def _numbers(items: Any) -> dict[str, float]:
    """Return the metrics that are numbers: NaN and infinity cannot be part of a manifest."""
    found = {item["key"]: float(item["value"]) for item in items or () if "value" in item}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _root(source: str) -> str:
    try:
        url = urlsplit(source)
    except ValueError:  # brackets that are no IPv6 address
        url = urlsplit("")
    path = url.path.strip("/")
    if url.scheme != "mlflow-artifacts" or any(part in ("..", ".", "") for part in path.split("/")):
        raise Unresolved(
            f"Artifacts cannot be taken from {source[:100]!r}. Log the model to this server's tracking "
            "(mlflow.set_tracking_uri) and register it from there, as runs:/… or models:/m-…"
        )
    return path


def _ask(tracking: httpx.Client, address: str, **query: str) -> Any:
    answer = tracking.get(address, params=query)
    if answer.status_code == 404:
        name = next(iter(query.values()), address.rpartition("/")[2])
        raise Unknown(f"The tracking server knows nothing of {name}. Log the model to this server's tracking first.")
    if answer.status_code >= 500:
        raise Unavailable(f"The tracking server answered {answer.status_code}. Try again, or look at its log.")
    if answer.status_code >= 400:
        raise Invalid(f"The tracking server refused to look this up: {answer.text[:300]}")
    return answer.json()


def _run(tracking: httpx.Client, run_id: str) -> Any:
    return _ask(tracking, "/api/2.0/mlflow/runs/get", run_id=run_id)["run"]


def _download(tracking: httpx.Client, root: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of every file under a root, within the limits on number and size."""
    total = 0
    for count, path in enumerate(_walk(tracking, root, "")):
        data = bytearray()
        with tracking.stream("GET", f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{path}')}") as answer:
            if answer.status_code != 200:
                raise Unavailable(f"The tracking server answered {answer.status_code} for {path}. Try again.")
            for chunk in answer.iter_bytes():
                data += chunk
                total += len(chunk)
                if total > settings.UPLOAD_LIMIT or count >= _MOST_FILES:
                    raise TooLarge(f"The model has more than {_MOST_FILES} files or {settings.UPLOAD_LIMIT} bytes.")
        yield path, bytes(data)


def _walk(tracking: httpx.Client, root: str, below: str) -> Iterator[str]:
    folder = f"{root}/{below}".rstrip("/")
    if below.count("/") >= _DEEPEST:
        raise TooLarge(f"The artifact has folders more than {_DEEPEST} deep.")
    for item in _ask(tracking, "/api/2.0/mlflow-artifacts/artifacts", path=folder).get("files", []):
        name = item["path"].rpartition("/")[2]
        if not _PART.fullmatch(name) or name in ("..", "."):
            raise Invalid(f"The artifact holds a file with the name {name!r}, which is not accepted.")
        path = f"{below}/{name}".lstrip("/")
        if item.get("is_dir"):
            yield from _walk(tracking, root, path)
        else:
            yield path
