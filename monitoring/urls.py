"""Routes of alerts and monitor runs."""

from django.urls import path

from monitoring import views

urlpatterns = [
    path("monitoring", views.monitoring_page, name="monitoring"),
    path("monitoring/alerts/<uuid:alert_id>/answer", views.answer_alert, name="answer-alert"),
    path("monitoring/runs/<uuid:run_id>", views.run_page, name="monitor-run"),
]
