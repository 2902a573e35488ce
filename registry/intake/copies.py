"""The files of a version that is registered here already, which `copy_model_version` registers under another name."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from registry import artifacts
from registry.intake.files import Offered, Remote, Unresolved, within_limits
from registry.models import ModelVersion
from registry.refusals import Invalid

_VERSION = re.compile(r"models:/([^/]+)/(\d{1,9})")


def named(source: str) -> tuple[str, int] | None:
    """Return name and number of the version that a source is; None for another kind of source."""
    found = _VERSION.fullmatch(source)
    return (found[1], int(found[2])) if found else None


def listed(source: str, run_id: str, model_id: str) -> Offered:
    """Return the pinned files of the version, and what is known of its run; Unresolved when there is none.

    Invalid when the copy is said to come from another run or logged model: lineage must not lie.
    """
    name, number = named(source) or ("", 0)
    version = ModelVersion.objects.filter(model__name=name, number=number).first()
    if version is None:
        raise Unresolved(f"{name} has no version {number} with files here. Copy one that is registered and ready.")
    lineage: dict[str, Any] = version.lineage
    for what, claimed in (("run_id", run_id), ("model_id", model_id)):
        if claimed and claimed != lineage.get(what, claimed):
            raise Invalid(f"The copy is said to have {what} {claimed}, but {source} has {lineage[what]}. Leave it out.")
    files = [_remote(path, entry) for path, entry in version.artifact.items()]
    return Offered(
        files=within_limits(files),
        run_id=lineage.get("run_id", run_id),
        model_id=lineage.get("model_id", model_id),
        parameters=lineage.get("parameters", {}),
        metrics=version.metrics,
        tags={f"mlflow.source.git.{key}": lineage.get(f"code_{key}", "") for key in ("commit", "dirty")},
    )


def _remote(path: str, entry: dict[str, Any]) -> Remote:
    digest = str(entry["sha256"])
    pieces: Callable[[], Iterator[bytes]] = partial(_pieces, digest)
    return Remote(path, entry["size"], pieces, mark=digest)


def _pieces(digest: str) -> Iterator[bytes]:
    yield artifacts.get(digest)
