"""The bytes a version was registered with, at `countersign/<version id>/<path>` of the artifact API.

The tracking server's copy may change or vanish; what was registered is read from our own store and verified.
"""

from typing import Any
from uuid import UUID

from django.http import HttpRequest

from registry import artifacts, registrations
from registry.intake import copies
from registry.models import ModelVersion, Registration
from registry.refusals import Conflict, Unknown

PREFIX = "countersign"


def uri(registration: Registration, request: HttpRequest) -> str:
    """Return where the client finds the files of a number: its source, as asked, when we could not verify that.

    An absolute address under the name by which it reached us: `mlflow-artifacts:` would be resolved by the client
    against its tracking URI, which need not be ours, nor even speak HTTP.
    """
    standing = registrations.standing(registration)
    if hasattr(registration, "version"):
        return request.build_absolute_uri(f"/api/2.0/mlflow-artifacts/artifacts/{PREFIX}/{registration.pk}")
    if standing.status is not registrations.Status.READY:
        raise Conflict(f"{registration} has no files to download. {standing.message}")
    original = _original(registration)
    return uri(original, request) if original else registration.source


def _original(copy: Registration) -> Registration | None:
    """Return the older registration that this one was copied from, as `models:/<name>/<number>`."""
    name, number = copies.named(copy.source) or ("", 0)
    return Registration.objects.filter(asked_at__lt=copy.asked_at, model__name=name, number=number).first()


def listing(path: str) -> list[dict[str, Any]]:
    """Return the FileInfo messages of what is directly in a folder; none for a file."""
    version, below = _split(path)
    inside = f"{below}/" if below else ""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in version.artifact.items():
        if name.startswith(inside):
            first, _, deeper = name.removeprefix(inside).partition("/")
            found[first] = {"path": first, "is_dir": True} if deeper else _file(first, entry)
    return list(found.values())


def _file(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    return {"path": name, "is_dir": False, "file_size": entry["size"]}


def content(path: str) -> bytes:
    """Return the verified bytes of a file of a version."""
    version, name = _split(path)
    if name not in version.artifact:
        raise Unknown(f"Version {version} has no file {name[:200]!r}.")
    return artifacts.get(version.artifact[name]["sha256"])


def _split(path: str) -> tuple[ModelVersion, str]:
    identifier, _, below = path.removeprefix(f"{PREFIX}/").partition("/")
    try:
        version = ModelVersion.objects.select_related("model").filter(pk=UUID(identifier)).first()
    except ValueError:
        version = None
    if version is None:
        raise Unknown(f"No version {identifier[:40]!r} is registered.")
    return version, below
