"""Whose runs and artifacts are whose: what a token says of the caller, kept where the tracking server never changes it.

A stock server believes what a client says of its user. Here a run belongs to the owner of the token that created it;
its files, and those of the models it logged, are written by nobody else, and never anew once they could be registered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from registry.intake import store
from registry.intake import tracking as tracking_server
from registry.models import User
from registry.refusals import Invalid, NotAllowed, Unavailable

_RUN, _MODEL = re.compile(r"[0-9a-f]{32}"), re.compile(r"m-[\w-]+")
_API = "/api/2.0/mlflow"
_MOST_OWNERS = 10_000  # runs whose owner is remembered

_owners: dict[str, str] = {}


@dataclass(frozen=True)
class _Place:
    """What a file lies beside. `owner`: empty when unknown; `open`: more is written; `anew`: over what is there too."""

    name: str
    owner: str = ""
    open: bool = True
    anew: bool = False


def of_run(body: Mapping[str, Any], by: User) -> dict[str, Any]:
    """Return the body of runs/create in the caller's own name, whatever name it brought."""
    return {**{key: value for key, value in body.items() if key != "userId"}, "user_id": by.username}


def of_experiment(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of experiments/create; Invalid when its artifacts would lie elsewhere than with this server."""
    for key in ("artifact_location", "artifactLocation"):
        place = body.get(key)
        if place and not _is_ours(place):
            raise Invalid(
                f"Artifacts cannot be kept at {str(place)[:100]!r}: it is not this server's store. Leave "
                "artifact_location out, or begin it with mlflow-artifacts:/."
            )
    return dict(body)


def _is_ours(place: Any) -> bool:
    if not isinstance(place, str) or "%" in place or "\\" in place or not place.isprintable():
        return False
    url = urlsplit(place) if "[" not in place else urlsplit("")
    parts = url.path.strip("/").split("/")
    plain = not (url.netloc or url.query or url.fragment) and all(part not in ("", ".", "..") for part in parts)
    return url.scheme == "mlflow-artifacts" and plain


def demand_upload(parts: list[str], by: User) -> None:
    """Raise NotAllowed unless the caller may write this file: `parts` of its path below the root of all artifacts."""
    with tracking_server.asking() as tracking:
        place = _place(tracking, parts)
        if place.owner and place.owner != by.username:
            raise NotAllowed(f"{place.name} belongs to {place.owner}. Log to a run of your own.")
        if not place.open:
            raise NotAllowed(f"{place.name} is complete: its files do not change any more. Log another model.")
        if not place.anew and _exists(tracking, parts):
            raise NotAllowed(
                f"{parts[-1][:100]} is there already, and what may have been registered is not written over. "
                "Log it under another name, or to a new run."
            )


def _place(tracking: httpx.Client, parts: list[str]) -> _Place:
    """Return the outermost run or logged model that a path lies beneath, as the tracking server knows it."""
    for part in parts[:-1]:
        found = None
        if _RUN.fullmatch(part):
            found = _run(tracking, part)
        elif _MODEL.fullmatch(part):
            found = _model(tracking, part)
        if found and f"{'/'.join(parts)}/".startswith(f"{urlsplit(found[1]).path.strip('/')}/"):
            return found[0]
    return _Place("This folder")


def _run(tracking: httpx.Client, run_id: str) -> tuple[_Place, str] | None:
    found = _ask(tracking, f"{_API}/runs/get", run_id=run_id)
    if found is None:
        return None
    info = found["run"]["info"]
    return _Place(f"Run {run_id}", info.get("user_id", ""), anew=info["status"] == "RUNNING"), info["artifact_uri"]


def _model(tracking: httpx.Client, model_id: str) -> tuple[_Place, str] | None:
    found = _ask(tracking, f"{_API}/logged-models/{quote(model_id, safe='')}")
    if found is None:
        return None
    info = found["model"]["info"]
    source = info.get("source_run_id")
    pending = info["status"] in (1, "LOGGED_MODEL_PENDING")
    return _Place(f"Model {model_id}", _owner(tracking, source) if source else "", open=pending), info["artifact_uri"]


def _owner(tracking: httpx.Client, run_id: str) -> str:
    """Return whose run it is, empty when it is unknown. Who created a run never changes: it is asked once."""
    if owner := _owners.get(run_id):
        return owner
    run = _run(tracking, run_id)
    owner = run[0].owner if run else ""
    if owner:
        if len(_owners) >= _MOST_OWNERS:
            _owners.clear()
        _owners[run_id] = owner
    return owner


def _exists(tracking: httpx.Client, parts: list[str]) -> bool:
    if store.is_here():
        return store.holds(parts)
    found = _ask(tracking, "/api/2.0/mlflow-artifacts/artifacts", path="/".join(parts[:-1]))
    names = (item["path"].rpartition("/")[2] for item in (found or {}).get("files", ()))
    return parts[-1] in names


def _ask(tracking: httpx.Client, address: str, **query: str) -> Any:
    """Return what the tracking server knows; None when it knows nothing of it."""
    answer = tracking.get(address, params=query)
    if answer.status_code >= 500:
        raise Unavailable(f"The tracking server answered {answer.status_code}. Try again, or look at its log.")
    return answer.json() if answer.status_code < 400 else None
