"""The addresses of the model registry's API: what it answers, and what it refuses at once with what to do instead."""

from django.urls import URLPattern, path

from registry.api.mlflow import model_versions, models
from registry.api.mlflow.aliases import Alias
from registry.api.mlflow.errors import Serving
from registry.api.mlflow.models import Never
from registry.refusals import Conflict

_MODELS, _VERSIONS = "registered-models/", "model-versions/"
_NOT_DELETED = "What was registered is never deleted. Register a new version; tag the old one if you like."
_NOT_RENAMED = "A model keeps its name, which its approvals bind. Register a model under the new name."
_NO_STAGES = (
    "There are no stages to set: a version serves when it is approved and promoted. "
    "Ask at /api/v1/models/<name>/versions/<n>/requests or on its page."
)


def below(serving: Serving) -> list[URLPattern]:
    """Return the routes below `mlflow/`; `serving` says which versions the serving aliases mirror."""
    return [
        path(f"{_MODELS}create", models.Create.as_view(serving=serving)),
        path(f"{_MODELS}get", models.Get.as_view(serving=serving)),
        path(f"{_MODELS}search", models.Search.as_view(serving=serving)),
        path(f"{_MODELS}update", models.Update.as_view(serving=serving)),
        path(f"{_MODELS}get-latest-versions", models.Latest.as_view(serving=serving)),
        path(f"{_MODELS}set-tag", models.SetTag.as_view()),
        path(f"{_MODELS}delete-tag", models.DeleteTag.as_view()),
        path(f"{_MODELS}alias", Alias.as_view(serving=serving)),
        path(f"{_MODELS}rename", Never.as_view(detail=_NOT_RENAMED)),
        path(f"{_MODELS}delete", Never.as_view(detail=_NOT_DELETED)),
        path(f"{_VERSIONS}create", model_versions.Create.as_view(serving=serving)),
        path(f"{_VERSIONS}get", model_versions.Get.as_view(serving=serving)),
        path(f"{_VERSIONS}search", model_versions.Search.as_view(serving=serving)),
        path(f"{_VERSIONS}update", model_versions.Update.as_view(serving=serving)),
        path(f"{_VERSIONS}get-download-uri", model_versions.DownloadUri.as_view()),
        path(f"{_VERSIONS}set-tag", model_versions.SetTag.as_view()),
        path(f"{_VERSIONS}delete-tag", model_versions.DeleteTag.as_view()),
        path(f"{_VERSIONS}transition-stage", Never.as_view(kind=Conflict, detail=_NO_STAGES)),
        path(f"{_VERSIONS}delete", Never.as_view(detail=_NOT_DELETED)),
    ]
