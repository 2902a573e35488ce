"""/api/2.0/mlflow/webhooks: webhooks as MLflow's client makes and reads them (protos/webhooks.proto).

A webhook that tells nothing MLflow knows is not shown here: the client could not read the names of its events.
"""

from typing import Any

from django.urls import re_path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from governance.models import WebhookRevision
from governance.webhook_api import caretaker, tried
from governance.webhooks import events, subscriptions
from governance.webhooks.subscriptions import PLAIN, Caretaker
from registry.api.mlflow import search
from registry.api.mlflow.errors import READ, Endpoint
from registry.api.mlflow.fields import Fields
from registry.refusals import Invalid, Unknown

_MOST = 1000


class Webhooks(Endpoint):
    """webhooks: list and create."""

    needs = READ  # whose webhooks they look after is the service's question

    def get(self, request: Request) -> Response:
        """Answer the webhooks that the caller looks after, a page at a time, the newest first."""
        fields = Fields(request)
        size = fields.number("max_results", 100) or 100
        if size > _MOST:
            raise Invalid(f"max_results must be between 1 and {_MOST}.")
        rows = subscriptions.looked_after(caretaker(request)).filter(webhook__kind=PLAIN)
        rows = rows.filter(events__overlap=[*events.MLFLOW, *events.NEVER])
        found, following = search.page(rows, size, fields.text("page_token"))
        return Response({"webhooks": [_message(row) for row in found], "next_page_token": following})

    def post(self, request: Request) -> Response:
        """Make a webhook of everything."""
        fields = Fields(request)
        made = subscriptions.make(
            name=fields.required("name"),
            url=fields.required("url", longest=2000),
            tells=_events(_sent(request).get("events")),
            description=fields.text("description"),
            secret=fields.text("secret"),
            status=fields.text("status") or subscriptions.ACTIVE,
            by=caretaker(request),
            now=timezone.now(),
        )
        return Response({"webhook": _message(made)})


class Webhook(Endpoint):
    """webhooks/<id>: get, update and delete."""

    needs = READ

    def get(self, request: Request, webhook_id: str) -> Response:
        """Answer a webhook."""
        return Response({"webhook": _message(_named(webhook_id, caretaker(request)))})

    def patch(self, request: Request, webhook_id: str) -> Response:
        """Change what is sent; what it tells beyond MLflow's events, it goes on telling."""
        by, fields, sent = caretaker(request), Fields(request), _sent(request)
        found = _named(webhook_id, by)
        given = [name for name in ("name", "url", "status") if fields.text(name)]
        given += [name for name in ("description", "secret") if sent.get(name) is not None]
        told: dict[str, Any] = {name: fields.text(name) for name in given}
        if sent.get("events"):
            ours = [name for name in found.events if not events.for_mlflow(name)]
            told["events"] = _events(sent["events"]) + ours
        changed = subscriptions.change(webhook=found.webhook, by=by, now=timezone.now(), **told)
        return Response({"webhook": _message(changed)})

    def delete(self, request: Request, webhook_id: str) -> Response:
        """Let a webhook end."""
        by = caretaker(request)
        subscriptions.remove(webhook=_named(webhook_id, by).webhook, by=by, now=timezone.now())
        return Response({})


class Test(Endpoint):
    """webhooks/<id>/test."""

    needs = READ

    def post(self, request: Request, webhook_id: str) -> Response:
        """Send an example and answer what came back."""
        by = caretaker(request)
        found = _named(webhook_id, by)
        asked = _sent(request).get("event")
        event = _events([asked])[0] if asked else next(name for name in found.events if events.for_mlflow(name))
        return Response({"result": tried(by, webhook_id, event)})


def _sent(request: Request) -> dict[str, Any]:
    return request.data if isinstance(request.data, dict) else {}


def _named(webhook_id: str, by: Caretaker) -> WebhookRevision:
    found = subscriptions.named(webhook_id, by)
    if not any(events.for_mlflow(name) for name in found.events):
        raise Unknown(f"Webhook {webhook_id} tells nothing that MLflow knows: it is at /api/v1/webhooks/{webhook_id}.")
    return found


def _message(says: WebhookRevision) -> dict[str, Any]:
    pairs = [name.split(".") for name in says.events if events.for_mlflow(name)]
    return {
        "webhook_id": str(says.webhook_id),
        "name": says.name,
        "description": says.description,
        "url": says.url,
        "events": [{"entity": entity.upper(), "action": action.upper()} for entity, action in pairs],
        "status": says.status,
        "creation_timestamp": int(says.webhook.made_at.timestamp() * 1000),
        "last_updated_timestamp": int(says.made_at.timestamp() * 1000),
    }


def _events(given: Any) -> list[str]:
    """Return the names of events out of MLflow's messages; Invalid for a combination that MLflow does not know."""
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
        raise Invalid("Missing value for required parameter 'events': a list of objects with entity and action.")
    names = [f"{item.get('entity', '')}.{item.get('action', '')}".lower() for item in given]
    for name in names:
        if not events.for_mlflow(name):
            entity, _, action = name.partition(".")
            known = ", ".join(sorted([*events.MLFLOW, *events.NEVER]))
            raise Invalid(f"Invalid action '{action}' for entity '{entity}'. MLflow's events are {known}.")
    return names


_HERE = r"^(?:ajax-)?api/2\.0/mlflow/webhooks"
urlpatterns = [
    re_path(f"{_HERE}$", Webhooks.as_view()),
    re_path(f"{_HERE}/(?P<webhook_id>[^/]+)$", Webhook.as_view()),
    re_path(f"{_HERE}/(?P<webhook_id>[^/]+)/test$", Test.as_view()),
]
