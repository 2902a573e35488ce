"""Versions as MLflow's API tells of them: find one by its source, wait until a worker has pinned it."""

from typing import Any

from governance.cli.ends import Refused
from governance.cli.server import Server

_VERSIONS = "/api/2.0/mlflow/model-versions"
PENDING, READY = "PENDING_REGISTRATION", "READY"


class NotAccepted(Refused):
    """The intake refused the files."""


def of_source(server: Server, name: str, source: str) -> dict[str, Any] | None:
    """Return the newest version of a model that was registered from a source."""
    found = server.ask("GET", f"{_VERSIONS}/search", params={"filter": f"source_path = '{source}'"})
    mine = [version for version in found.get("model_versions") or () if version["name"] == name]
    return max(mine, key=lambda version: int(version["version"]), default=None)


def wait_until_pinned(server: Server, name: str, number: int, *, seconds: float) -> dict[str, Any]:
    """Return a version once it is READY; NotAccepted with the server's reason when it could not be registered."""
    said: dict[str, Any] = {}
    path = f"{_VERSIONS}/get"
    for answer in server.until(
        path, _settled, seconds=seconds, what=f"The intake of {name}/{number}", params={"name": name, "version": number}
    ):
        said = answer["model_version"]
    if said["status"] != READY:
        raise NotAccepted(
            f"{name}/{number} was not accepted: {said.get('status_message') or said['status']} Its number stays taken; "
            "mend it and register again."
        )
    return said


def _settled(answer: dict[str, Any]) -> bool:
    return bool(answer["model_version"]["status"] != PENDING)
