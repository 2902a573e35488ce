"""Routes of the registry's APIs: our own, MLflow's model registry, and the front of the tracking server."""

from django.urls import path, re_path

from registry.api import catalogue, tracking
from registry.api.metrics import Metrics
from registry.api.mlflow import model_versions, models
from registry.api.mlflow.models import Never
from registry.api.whoami import WhoAmI
from registry.refusals import Conflict

_MODELS, _VERSIONS = "api/2.0/mlflow/registered-models/", "api/2.0/mlflow/model-versions/"
_ARTIFACTS = r"^(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts"

_NOT_DELETED = "What was registered is never deleted. Register a new version; tag the old one if you like."
_NOT_RENAMED = "A model keeps its name, which its approvals bind. Register a model under the new name."
_NO_STAGES = (
    "There are no stages to set: a version serves when it is approved and promoted. "
    "Ask at /api/v1/models/<name>/versions/<n>/requests or on its page."
)
_NOT_EDITED = "What was registered is not edited, its description included. Set a tag instead."

urlpatterns = [
    path("api/v1/whoami", WhoAmI.as_view()),
    path("api/v1/models", catalogue.Models.as_view()),
    path("api/v1/models/<str:name>", catalogue.Model.as_view()),
    path("api/v1/models/<str:name>/versions/<int:number>", catalogue.Version.as_view()),
    path("api/v1/datasets", catalogue.Datasets.as_view()),
    path("api/v1/datasets/<str:digest>", catalogue.DatasetByDigest.as_view()),
    path("api/v1/policies/<int:tier>", catalogue.PolicyInForce.as_view()),
    path(f"{_MODELS}create", models.Create.as_view()),
    path(f"{_MODELS}get", models.Get.as_view()),
    path(f"{_MODELS}search", models.Search.as_view()),
    path(f"{_MODELS}get-latest-versions", models.Latest.as_view()),
    path(f"{_MODELS}set-tag", models.SetTag.as_view()),
    path(f"{_MODELS}delete-tag", models.DeleteTag.as_view()),
    path(f"{_MODELS}alias", models.Alias.as_view()),
    path(f"{_MODELS}update", Never.as_view(kind=Conflict, detail=_NOT_EDITED)),
    path(f"{_MODELS}rename", Never.as_view(detail=_NOT_RENAMED)),
    path(f"{_MODELS}delete", Never.as_view(detail=_NOT_DELETED)),
    path(f"{_VERSIONS}create", model_versions.Create.as_view()),
    path(f"{_VERSIONS}get", model_versions.Get.as_view()),
    path(f"{_VERSIONS}search", model_versions.Search.as_view()),
    path(f"{_VERSIONS}get-download-uri", model_versions.DownloadUri.as_view()),
    path(f"{_VERSIONS}set-tag", model_versions.SetTag.as_view()),
    path(f"{_VERSIONS}delete-tag", model_versions.DeleteTag.as_view()),
    path(f"{_VERSIONS}update", Never.as_view(kind=Conflict, detail=_NOT_EDITED)),
    path(f"{_VERSIONS}transition-stage", Never.as_view(kind=Conflict, detail=_NO_STAGES)),
    path(f"{_VERSIONS}delete", Never.as_view(detail=_NOT_DELETED)),
    path("metrics", Metrics.as_view()),
    re_path(r"^(?:ajax-)?api/3\.0/mlflow/server-info$", tracking.ServerInfo.as_view()),
    re_path(r"^(?:ajax-)?api/(?P<level>[23]\.0)/mlflow/(?P<path>.+)$", tracking.Tracking.as_view()),
    re_path(_ARTIFACTS + "$", tracking.ArtifactList.as_view()),
    re_path(_ARTIFACTS + "/(?P<path>.+)$", tracking.Artifacts.as_view()),
]
