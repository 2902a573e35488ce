"""What the create calls do: register a model with its tags, a version from what was logged."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from registry import datasets, intake, mlmodel, versions
from registry.api.mlflow.errors import Exists
from registry.models import Dataset, ModelVersion, RegisteredModel, User
from registry.refusals import Conflict, Invalid, Unknown

OWN = "countersign."  # tags that say what the record says, hence fixed once it is written


@transaction.atomic
def model(*, name: str, description: str, tags: Mapping[str, str], by: User, now: datetime) -> RegisteredModel:
    """Register a model owned by its creator; purpose and exposure come as tags, else it counts as most material."""
    if "mlflow.prompt.is_prompt" in tags:
        raise Invalid("Prompts are not registered here, only models.")
    chosen = {key: tags[OWN + key] for key in ("purpose", "exposure") if OWN + key in tags}
    try:
        made = versions.register_model(name=name, description=description, by=by, now=now, **chosen)
    except Conflict as taken:
        raise Exists(taken.detail) from taken
    for key, value in tags.items():
        versions.tag(model=made, version=None, key=key, value=value, by=by, now=now)
    return made


def version(
    *,
    model: RegisteredModel,
    source: str,
    run_id: str,
    model_id: str,
    run_link: str,
    description: str,
    tags: Mapping[str, str],
    by: User,
    now: datetime,
) -> ModelVersion:
    """Take the files from the tracking server and register them, with the run that made them as lineage."""
    fetched = intake.fetch(source, run_id, model_id)
    written = mlmodel.describe(fetched.files).run_id
    if written and fetched.run_id and written != fetched.run_id:
        raise Invalid(f"The MLmodel file says run {written}, the request run {fetched.run_id}. Leave run_id out.")
    lineage = {
        "source": source,
        "run_id": fetched.run_id,
        "model_id": fetched.model_id,
        "run_link": run_link,
        "code_commit": fetched.tags.get("mlflow.source.git.commit", ""),
        "code_dirty": fetched.tags.get("mlflow.source.git.dirty", ""),
        "parameters": fetched.parameters,
    }
    return versions.register(
        model=model,
        files=fetched.files,
        by=by,
        now=now,
        lineage={key: value for key, value in lineage.items() if value},
        metrics=fetched.metrics,
        data=_data({**fetched.tags, **tags}),
        description=description,
        tags=tags,
    )


def _data(tags: Mapping[str, str]) -> dict[str, Dataset]:
    """Return the data sets that `countersign.<role>` tags name by digest."""
    found = {}
    for role in versions.DATA_ROLES:
        digest = tags.get(OWN + role, "").removeprefix("sha256:")
        try:
            if digest:
                found[role] = datasets.by_digest(digest)
        except Unknown as unknown:
            raise Invalid(f"Tag {OWN}{role}: {unknown.detail}") from unknown
    return found
