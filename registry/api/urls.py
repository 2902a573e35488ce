"""Routes of the registry's APIs: our own, and the front of the tracking server. `api.mlflow.routes` is the rest."""

from django.urls import path, re_path

from registry.api import aliases, catalogue, datasets, tracking
from registry.api.whoami import WhoAmI

_ARTIFACTS = r"^(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts"

urlpatterns = [
    path("api/v1/whoami", WhoAmI.as_view()),
    path("api/v1/models", catalogue.Models.as_view()),
    path("api/v1/models/<str:name>", catalogue.Model.as_view()),
    path("api/v1/models/<str:name>/versions/<int:number>", catalogue.Version.as_view()),
    path("api/v1/models/<str:name>/aliases/<str:alias>", aliases.Alias.as_view()),
    path("api/v1/datasets", datasets.Datasets.as_view()),
    path("api/v1/datasets/guess", datasets.Guess.as_view()),
    path("api/v1/datasets/<str:digest>", datasets.DatasetByDigest.as_view()),
    path("api/v1/datasets/<str:digest>/statistics", datasets.Statistics.as_view()),
    path("api/v1/datasets/<str:digest>/preview", datasets.Preview.as_view()),
    path("api/v1/datasets/<str:digest>/retention", datasets.Retention.as_view()),
    path("api/v1/policies/<int:tier>", catalogue.PolicyInForce.as_view()),
    re_path(r"^(?:ajax-)?api/3\.0/mlflow/server-info$", tracking.ServerInfo.as_view()),
    re_path(r"^(?:ajax-)?api/(?P<level>[23]\.0)/mlflow/(?P<path>.+)$", tracking.Tracking.as_view()),
    re_path(_ARTIFACTS + "$", tracking.ArtifactList.as_view()),
    re_path(_ARTIFACTS + "/(?P<path>.+)$", tracking.Artifacts.as_view()),
]
