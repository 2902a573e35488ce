"""What a run of MLflow recorded about where a model came from, as the lineage of a version keeps it.

Pure: the JSON of `runs/get` in, plain values out. Source: MLflow's service.proto (RunInputs, DatasetInput, Dataset).
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

CONTEXT = "mlflow.data.context"
DIGEST = "countersign.digest"  # an input's tag that names a registered data set
UPSTREAM, REPOSITORY = "countersign.upstream", "mlflow.source.git.repoURL"  # tags of a run
# What people call a data set when they log it → the role it has here.
ROLES = {
    "training": "training",
    "train": "training",
    "validation": "holdout",
    "eval": "holdout",
    "evaluation": "holdout",
    "test": "holdout",
    "testing": "holdout",
    "holdout": "holdout",
    "reference": "reference",
    "golden": "golden",
}
_MOST, _LONGEST, _COLUMNS = 50, 500, 500
_SSH = re.compile(r"[\w.-]+@(?P<host>[\w.-]+):(?P<path>[^\s/][^\s]*)")
_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def of_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return `datasets`, `upstream` and `code_url` of a run as `runs/get` answers it; what it lacks is left out.

    `datasets`: name, digest (MLflow's own), source, context, and where they are known rows, columns, sha256: the
    digest of a registered data set, from the input's tag or its source. `upstream`: models the run read, as it logged
    them (`m-…`) or as its tag `countersign.upstream` names them (`name/version`).
    """
    inputs, tags = _mapping(run.get("inputs")), _tags(_mapping(run.get("data")).get("tags"))
    found = [_dataset(item) for item in _items(inputs.get("dataset_inputs"))[:_MOST]]
    read = [_text(item.get("model_id")) for item in _items(inputs.get("model_inputs"))]
    upstream = list(dict.fromkeys(name for name in (*read, *_named(tags.get(UPSTREAM, ""))) if name))[:_MOST]
    told = {"datasets": found, "upstream": upstream, "code_url": repository(tags.get(REPOSITORY, ""))}
    return {key: value for key, value in told.items() if value}


def repository(address: str) -> str:
    """Return the address of a repository as a URL without name and password; nothing for what is none."""
    short = _SSH.fullmatch(address)
    if short:
        return f"ssh://{short['host']}/{short['path']}"
    try:
        url = urlsplit(address)
        place = f"{url.hostname}:{url.port}" if url.port else url.hostname
    except ValueError:
        return ""
    return f"{url.scheme}://{place}{url.path}" if url.scheme in ("http", "https", "ssh", "git") and place else ""


def registered(datasets: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return role → SHA-256 of the data sets of a run that name a registered one; the first of a role counts."""
    found: dict[str, str] = {}
    for item in datasets:
        role = ROLES.get(str(item.get("context", "")).strip().lower())
        if role and item.get("sha256"):
            found.setdefault(role, item["sha256"])
    return found


def _named(tag: str) -> list[str]:
    """Return the models that a tag names: `name/version` or `m-…`, by commas."""
    return [part.strip().removeprefix("models:/") for part in tag.split(",")]


def _dataset(item: Mapping[str, Any]) -> dict[str, Any]:
    said, tags = _mapping(item.get("dataset")), _tags(item.get("tags"))
    source, profile = _text(said.get("source")), _json(said.get("profile"))
    rows = profile.get("num_rows")
    columns = _columns(_json(said.get("schema")))
    sha = _SHA256.search(tags.get(DIGEST, "").lower()) or _SHA256.search(source.lower())
    told = {
        "name": _text(said.get("name")),
        "digest": _text(said.get("digest")),
        "source": source,
        "source_type": _text(said.get("source_type")),
        "context": tags.get(CONTEXT, ""),
        "rows": rows if isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0 else None,
        "columns": columns,
        "sha256": sha[0] if sha else "",
    }
    return {key: value for key, value in told.items() if value or value == 0}


def _columns(schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return name and type of each column; a tensor's spec has none."""
    spec = schema.get("mlflow_colspec")
    if isinstance(spec, Mapping):  # features and targets apart
        spec = [*_items(spec.get("features")), *_items(spec.get("targets"))]
    rows = _items(spec)[:_COLUMNS]
    return [{"name": _text(row.get("name")), "type": _text(row.get("type"))} for row in rows if row.get("name")]


def _tags(value: Any) -> dict[str, str]:
    return {_text(item.get("key")): _text(item.get("value")) for item in _items(value)}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)][:_COLUMNS] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value.replace("\0", "")[:_LONGEST] if isinstance(value, str) else ""


def _json(value: Any) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(value)) if isinstance(value, str) else {}
    except ValueError:
        return {}
