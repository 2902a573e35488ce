"""Ask the tracking server what it knows of a run or a logged model, and for its files, by its artifact API."""

import math
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from django.conf import settings

from registry import lineage
from registry.intake import store
from registry.intake.files import DEEPEST, PIECE, Offered, Remote, Unresolved, part, within_limits
from registry.refusals import Invalid, TooLarge, Unavailable

_LOGGED = re.compile(r"models:/(m-[\w-]+)")
_NOTHING: Mapping[str, Any] = {"info": {}, "data": {}}


def client() -> httpx.Client:
    """Return this process's client of the tracking server: our own over its private socket, or that of TRACKING_URL.

    It keeps its connections and is not to be closed.
    """
    if not (settings.TRACKING_SOCKET or settings.TRACKING_URL):
        raise Unavailable("No tracking server is configured. Set TRACKING_URL, or start the platform with `make run`.")
    return _client(os.getpid(), settings.TRACKING_SOCKET, settings.TRACKING_URL)


@lru_cache(maxsize=2)
def _client(process: int, socket: str, url: str) -> httpx.Client:
    """Return a client for one process: what a forked one inherits is another's connection."""
    kept = httpx.Limits(max_keepalive_connections=20, keepalive_expiry=2)  # well before a server lets go of one
    if socket:
        # No TLS is spoken over the socket: an empty context spares each client the reading of every authority.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = httpx.HTTPTransport(uds=socket, verify=context, limits=kept)
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=30)
    return httpx.Client(base_url=url, headers=_own_token(), timeout=30, limits=kept)


def _own_token() -> dict[str, str]:
    token = settings.TRACKING_TOKEN
    return {"Authorization": f"Bearer {token}"} if token else {}


def fetch(source: str, run_id: str = "", model_id: str = "") -> Offered:
    """Return what the tracking server has behind a source; Unresolved, Invalid, TooLarge or Unavailable say why not."""
    with asking() as tracking:
        return _fetch(tracking, source, run_id, model_id)


def beside(run_id: str, model_id: str) -> Callable[[list[Remote]], Offered]:
    """Return what joins files from elsewhere with what the run recorded that is said to have made them."""
    if not (run_id or model_id):
        return Offered
    with asking() as tracking:
        logged = _logged(tracking, model_id) if model_id else {}
        run_id = _same("run", run_id, logged.get("info", {}).get("source_run_id", ""))
        run = _run(tracking, run_id) if run_id else _NOTHING
    return lambda files: _offered(files, run, logged, run_id, model_id)


@contextmanager
def asking() -> Iterator[httpx.Client]:
    """Yield the client; Unavailable where the tracking server does not answer."""
    try:
        yield client()
    except httpx.TransportError as error:
        raise Unavailable(f"The tracking server does not answer ({type(error).__name__}). Try again.") from error


def _fetch(tracking: httpx.Client, source: str, run_id: str, model_id: str) -> Offered:
    logged: Mapping[str, Any] = {}
    named = _LOGGED.fullmatch(source.rstrip("/"))
    if named or model_id:
        model_id = _same("model", model_id, named[1] if named else "")
        logged = _logged(tracking, model_id)
        place = logged["info"]["artifact_uri"]
        source = place if named else _same("source", source.rstrip("/"), place)
        run_id = _same("run", run_id, logged["info"].get("source_run_id", ""))
    elif source.startswith("runs:/"):
        named_run, _, path = source.removeprefix("runs:/").partition("/")
        source = f"{_run(tracking, named_run)['info']['artifact_uri']}/{path}"
        run_id = _same("run", run_id, named_run)
    root = _root(source)
    run = _run(tracking, run_id) if run_id else _NOTHING
    if run_id and not logged and not f"{root}/".startswith(f"{_root(run['info']['artifact_uri'])}/"):
        raise Invalid(f"{source} is not an artifact of run {run_id}. Register a logged model as models:/<its id>.")
    files = store.listed(root) if store.is_here() else within_limits(_walk(tracking, root, ""))
    return _offered(files, run, logged, run_id, model_id)


def _offered(
    files: list[Remote], run: Mapping[str, Any], logged: Mapping[str, Any], run_id: str, model_id: str
) -> Offered:
    return Offered(
        files=files,
        run_id=run_id,
        model_id=model_id,
        parameters=_pairs(run["data"].get("params")) | _pairs(logged.get("data", {}).get("params")),
        metrics=_numbers(run["data"].get("metrics")),
        tags=_pairs(run["data"].get("tags")),
        inputs=lineage.of_run(run),
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
    """Return the path of an artifact in the tracking server's own store."""
    url = urlsplit(source)
    path = url.path.strip("/")
    if url.scheme != "mlflow-artifacts" or any(part in ("..", ".", "") for part in path.split("/")):
        raise Unresolved(
            f"Artifacts cannot be taken from {source[:100]!r}. Log the model to this server's tracking "
            "(mlflow.set_tracking_uri) and register it from there, as runs:/… or models:/m-…"
        )
    if url.netloc and url.netloc not in _own_hosts():
        raise Unresolved(f"Artifacts cannot be taken from {url.netloc[:100]!r}: only our tracking server is asked.")
    return path


def _own_hosts() -> set[str]:
    """Return the names under which clients know the tracking server that we ask."""
    return {urlsplit(address).netloc for address in (settings.PUBLIC_URL, settings.TRACKING_URL) if address}


def _ask(tracking: httpx.Client, address: str, **query: str) -> Any:
    answer = tracking.get(address, params=query)
    if answer.status_code == 404:
        name = next(iter(query.values()), address.rpartition("/")[2])
        raise Unresolved(f"The tracking server knows nothing of {name}. Log the model to this server's tracking first.")
    if answer.status_code >= 500:
        raise Unavailable(f"The tracking server answered {answer.status_code}. Try again, or look at its log.")
    if answer.status_code >= 400:
        raise Invalid(f"The tracking server refused to look this up: {answer.text[:300]}")
    return answer.json()


def _run(tracking: httpx.Client, run_id: str) -> Any:
    return _ask(tracking, "/api/2.0/mlflow/runs/get", run_id=run_id)["run"]


def _logged(tracking: httpx.Client, model_id: str) -> Any:
    return _ask(tracking, f"/api/2.0/mlflow/logged-models/{quote(model_id, safe='')}")["model"]


def _walk(tracking: httpx.Client, root: str, below: str) -> Iterator[Remote]:
    folder = f"{root}/{below}".rstrip("/")
    if below.count("/") >= DEEPEST:
        raise TooLarge(f"The artifact has folders more than {DEEPEST} deep.")
    for item in _ask(tracking, "/api/2.0/mlflow-artifacts/artifacts", path=folder).get("files", []):
        path = f"{below}/{part(item['path'].rpartition('/')[2])}".lstrip("/")
        if item.get("is_dir"):
            yield from _walk(tracking, root, path)
        else:
            yield Remote(path, int(item.get("file_size") or 0), partial(_read, f"{root}/{path}"))


def _read(path: str) -> Iterator[bytes]:
    address = f"/api/2.0/mlflow-artifacts/artifacts/{quote(path)}"
    with asking() as tracking, tracking.stream("GET", address) as answer:
        if answer.status_code != 200:
            raise Unavailable(f"The tracking server answered {answer.status_code} for {path}. Try again.")
        yield from answer.iter_bytes(PIECE)
