"""Every route of the web process. The scoring process has its own few."""

from django.urls import include, path

from governance.views import api_docs, cards, catalogue, dossiers, health, inventory, lineage, versions, webhooks

_VERSION = "models/<str:name>/versions/<int:number>"

urlpatterns = [
    path("", catalogue.home, name="home"),
    path("models/<str:name>", catalogue.model_page, name="model"),
    path(_VERSION, versions.version_page, name="version"),
    path(f"{_VERSION}/checks", versions.checks_fragment, name="version-checks"),
    path(f"{_VERSION}/order", versions.order_fragment, name="version-order"),
    path(f"{_VERSION}/request", versions.request_approval, name="request-approval"),
    path(f"{_VERSION}/sign", versions.sign, name="sign"),
    path(f"{_VERSION}/promote", versions.promote, name="promote"),
    path(f"{_VERSION}/roll-back", versions.roll_back, name="roll-back"),
    path(f"{_VERSION}/dossier", dossiers.of_version, name="issue-version-dossier"),
    path(f"{_VERSION}/card", cards.card_page, name="card"),
    path("models/<str:name>/inventory", inventory.model_inventory, name="model-inventory"),
    path("inventory", inventory.inventory_list, name="inventory"),
    path("datasets/<str:digest>/lineage", lineage.dataset_lineage, name="dataset-lineage"),
    path("decisions/<uuid:decision_id>/lineage", lineage.decision_lineage, name="decision-lineage"),
    path("decisions/<uuid:decision_id>/dossier", dossiers.of_decision, name="issue-decision-dossier"),
    path("models/<str:name>/dossier", dossiers.of_model, name="issue-model-dossier"),
    path("dossiers", dossiers.dossier_list, name="dossiers"),
    path("dossiers/period", dossiers.of_period, name="issue-period-dossier"),
    path("dossiers/<uuid:dossier_id>", dossiers.dossier_page, name="dossier"),
    path("dossiers/<uuid:dossier_id>/state", dossiers.dossier_fragment, name="dossier-state"),
    path("dossiers/<uuid:dossier_id>/archive", dossiers.dossier_archive, name="dossier-archive"),
    path("webhooks", webhooks.webhook_list, name="webhooks"),
    path("webhooks/<uuid:webhook_id>", webhooks.webhook_page, name="webhook"),
    path("webhooks/<uuid:webhook_id>/status", webhooks.set_status, name="webhook-status"),
    path("webhooks/<uuid:webhook_id>/test", webhooks.test, name="test-webhook"),
    path("webhooks/<uuid:webhook_id>/repeat", webhooks.repeat, name="repeat-delivery"),
    path("api/schema", api_docs.schema, name="api-schema"),
    path("api/docs", api_docs.page, name="api-docs"),
    path("health", health.health, name="health"),
    path("ready", health.ready, name="ready"),
    path("", include("registry.urls")),
    path("", include("scoring.urls")),
    path("", include("monitoring.urls")),
    path("", include("governance.webhook_mlflow")),  # before the front of the tracking server, which takes the rest
    path("", include("registry.api.urls")),
    path("", include("governance.webhook_api")),
    path("", include("governance.api")),
    path("", include("governance.describing")),
]
handler400 = "governance.problems.bad_request"
handler403 = "governance.problems.forbidden"
handler404 = "governance.problems.not_found"
handler500 = "governance.problems.broken"
