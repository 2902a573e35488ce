"""Routes of decisions on the pages' side: reading them, and the truth about them. Scores are asked for elsewhere."""

from django.urls import path

from scoring import api, views

urlpatterns = [
    path("decisions", views.decision_list, name="decisions"),
    path("decisions/<uuid:decision_id>", views.decision_page, name="decision"),
    path("api/v1/decisions/<uuid:decision_id>", api.DecisionDetail.as_view()),
    path("api/v1/outcomes", api.Outcomes.as_view()),
]
