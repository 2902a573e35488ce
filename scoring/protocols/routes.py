"""The addresses at which stock clients ask, as their specifications fix them."""

from django.urls import path, re_path

from scoring.protocols import inference_api as v2
from scoring.protocols import invocations_api as mlflow

_MODEL = "v2/models/<str:name>"
_VERSION = f"{_MODEL}/versions/<str:version>"

urlpatterns = [
    path("v2/health/live", v2.Live.as_view()),
    path("v2/health/ready", v2.Ready.as_view()),
    re_path(r"^v2/?$", v2.Server.as_view()),
    path(_MODEL, v2.Model.as_view()),
    path(_VERSION, v2.Model.as_view()),
    path(f"{_MODEL}/ready", v2.ModelReady.as_view()),
    path(f"{_VERSION}/ready", v2.ModelReady.as_view()),
    path(f"{_MODEL}/infer", v2.Infer.as_view()),
    path(f"{_VERSION}/infer", v2.Infer.as_view()),
    re_path(r"^v2/", v2.Nothing.as_view()),
    *(
        path(f"{place}{name}", view.as_view())
        for place in ("", "models/<str:name>/")
        for name, view in (("invocations", mlflow.Invocations), ("ping", mlflow.Ping), ("version", mlflow.Version))
    ),
    path("models/<str:name>/health", mlflow.Ping.as_view()),
]
