"""Routes of decisions on the pages' side: reading them, and the truth about them. Scores are asked for elsewhere.

Also MLflow's registry, whose serving aliases mirror deployments, which only what stands above the registry knows.
"""

from django.urls import include, path, re_path

from registry.api.mlflow import routes
from scoring import afterwards, api, deployments, metrics, views

urlpatterns = [
    path("decisions", views.decision_list, name="decisions"),
    path("decisions/<uuid:decision_id>", views.decision_page, name="decision"),
    path("decisions/<uuid:decision_id>/replay", views.ask_replay, name="replay"),
    path("api/v1/decisions/<uuid:decision_id>", api.DecisionDetail.as_view()),
    path("metrics", metrics.Metrics.as_view()),
    path("api/v1/outcomes", api.Outcomes.as_view()),
    *afterwards.routes,
    re_path(r"^(?:ajax-)?api/2\.0/mlflow/", include(routes.below(deployments.serving_aliases))),
]
