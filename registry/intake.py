"""Fetch the files of a model from where a client says they are: the tracking server, by its artifact API.

Sources understood: `models:/m-…` and `runs:/…` (the tracking server is asked where they are), `mlflow-artifacts:/…`.
Anything else is refused: a path on this machine or a foreign host is not ours to read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from django.conf import settings

from registry.refusals import Invalid, TooLarge, Unavailable, Unknown

_PART = re.compile(r"[^/\\\0]+")
_MOST_FILES = 2000


@dataclass(frozen=True)
class Fetched:
    """The files of a model, by path, and what the run that made them recorded."""

    files: dict[str, bytes]
    run_id: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def client() -> httpx.Client:
    """Return a client of the tracking server: our own over its private socket, or the one of TRACKING_URL."""
    if settings.TRACKING_SOCKET:
        transport = httpx.HTTPTransport(uds=settings.TRACKING_SOCKET)
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=30)
    if settings.TRACKING_URL:
        return httpx.Client(base_url=settings.TRACKING_URL, timeout=30)
    raise Unavailable("No tracking server is configured. Set TRACKING_URL, or start the platform with `make run`.")


def fetch(source: str, run_id: str = "", model_id: str = "") -> Fetched:
    """Return the files behind a source; Unknown or Invalid say why there are none."""
    with client() as tracking:
        logged = model_id or source.removeprefix("models:/") if source.startswith("models:/m-") or model_id else ""
        if logged:
            info = _ask(tracking, f"/api/2.0/mlflow/logged-models/{quote(logged)}")["model"]["info"]
            source, run_id = info["artifact_uri"], run_id or info.get("source_run_id", "")
        elif source.startswith("runs:/"):
            run_id, _, path = source.removeprefix("runs:/").partition("/")
            source = f"{_run(tracking, run_id)['info']['artifact_uri']}/{path}"
        run = _run(tracking, run_id)["data"] if run_id else {}
        return Fetched(
            files=dict(_download(tracking, _root(source))),
            run_id=run_id,
            parameters={item["key"]: item["value"] for item in run.get("params", [])},
            metrics={item["key"]: item["value"] for item in run.get("metrics", [])},
            tags={item["key"]: item["value"] for item in run.get("tags", [])},
        )


def _root(source: str) -> str:
    url = urlsplit(source)
    path = url.path.strip("/")
    if url.scheme != "mlflow-artifacts" or any(part in ("..", ".", "") for part in path.split("/")):
        raise Invalid(
            f"Artifacts cannot be taken from {url.scheme or 'a local path'}. Log the model to this server's "
            "tracking (mlflow.set_tracking_uri) and register it from there."
        )
    return path


def _ask(tracking: httpx.Client, path: str, **query: str) -> Any:
    try:
        answer = tracking.get(path, params=query)
    except httpx.TransportError as error:
        raise Unavailable(f"The tracking server does not answer ({type(error).__name__}). Try again.") from error
    if answer.status_code == 404:
        raise Unknown(f"The tracking server knows nothing of {path.rpartition('/')[2]}.")
    if answer.status_code >= 400:
        raise Unavailable(f"The tracking server answered {answer.status_code}. Try again, or look at its log.")
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
    for item in _ask(tracking, "/api/2.0/mlflow-artifacts/artifacts", path=folder).get("files", []):
        name = item["path"].rpartition("/")[2]
        if not _PART.fullmatch(name) or name in ("..", "."):
            raise Invalid(f"The artifact holds a file with the name {name!r}, which is not accepted.")
        path = f"{below}/{name}".lstrip("/")
        if item.get("is_dir"):
            yield from _walk(tracking, root, path)
        else:
            yield path
