"""/api/v1/webhooks: make and change webhooks, read what became of each delivery, ask for another one."""

import time
from typing import Any
from uuid import UUID

from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import Delivery, DeliveryAttempt, WebhookRevision
from governance.tasks import webhooks as tasks
from governance.webhooks import deliveries, subscriptions
from governance.webhooks.subscriptions import Caretaker
from registry import versions
from registry.api.access import actor_of, holds
from registry.refusals import Invalid, Unknown

READ = "registry.read"
PATIENCE = 15.0  # seconds that somebody waits for a test
_PAGE = 100
_TEXTS = ("name", "url", "description", "secret", "status")


class Webhooks(APIView):
    """The webhooks that the caller looks after."""

    needs = READ  # whose webhooks they look after is the service's question

    def get(self, request: Request) -> Response:
        """Answer them, the newest first, 100 at a time; `before` is the last identifier of the page before."""
        rows = subscriptions.looked_after(caretaker(request))
        if before := request.query_params.get("before"):
            rows = rows.filter(webhook__lt=_identifier(before))
        return Response({"webhooks": [described(row) for row in rows.order_by("-webhook")[:_PAGE]]})

    def post(self, request: Request) -> Response:
        """Make one: name, url, events; optional kind, model, description, secret, status."""
        told = _told(request, {*_TEXTS, "events", "kind", "model"})
        model = told.pop("model", None)
        if model is not None:
            told["model"] = versions.model_named(model)
        made = subscriptions.make(
            name=told.pop("name", ""),
            url=told.pop("url", ""),
            tells=told.pop("events", []),
            by=caretaker(request),
            now=timezone.now(),
            **told,
        )
        return Response(described(made), status=201)


class Webhook(APIView):
    """One webhook."""

    needs = READ

    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Answer what it says now."""
        return Response(described(subscriptions.named(webhook_id, caretaker(request))))

    def patch(self, request: Request, webhook_id: UUID) -> Response:
        """Change it: name, url, events, description, secret (empty: none), status."""
        by = caretaker(request)
        found = subscriptions.named(webhook_id, by)
        told = _told(request, {*_TEXTS, "events"})
        return Response(described(subscriptions.change(webhook=found.webhook, by=by, now=timezone.now(), **told)))

    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Let it end; what it told stays on record."""
        by = caretaker(request)
        found = subscriptions.named(webhook_id, by)
        subscriptions.remove(webhook=found.webhook, by=by, now=timezone.now())
        return Response(status=204)


class Test(APIView):
    """Send an example."""

    needs = READ

    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Send an example of `event`, or of its first event, and answer what came back."""
        event = _told(request, {"event"}).get("event")
        return Response(tried(caretaker(request), webhook_id, event))


class Deliveries(APIView):
    """What became of each delivery of a webhook."""

    needs = READ

    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Answer deliveries with their attempts, the newest first, 100 at a time; `before` as a page's last one."""
        found = subscriptions.named(webhook_id, caretaker(request))
        rows = deliveries.log(found.webhook)
        if before := request.query_params.get("before"):
            rows = rows.filter(pk__lt=_identifier(before))
        return Response({"deliveries": [_delivery(row) for row in rows[:_PAGE]]})


class Repeat(APIView):
    """Deliver once more."""

    needs = READ

    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> Response:
        """Ask that a delivery be repeated under an identifier of its own."""
        made = deliveries.repeat(
            delivery=deliveries.named(delivery_id, webhook_id), by=caretaker(request), now=timezone.now()
        )
        tasks.wake(webhook_id)
        return Response({"delivery": made.pk, "repeats": delivery_id}, status=202)


def caretaker(request: Request) -> Caretaker:
    """Return the caller, and whose webhooks they look after with the token they sent."""
    return Caretaker.of(actor_of(request), lambda permission: holds(request, permission))


def described(says: WebhookRevision) -> dict[str, Any]:
    """Return a webhook as it is told: the secret never is."""
    webhook = says.webhook
    return {
        "id": webhook.pk,
        "kind": webhook.kind,
        "model": webhook.model and webhook.model.name,
        "name": says.name,
        "description": says.description,
        "url": says.url,
        "events": says.events,
        "has_secret": says.secret is not None,
        "status": says.status,
        "made_by": webhook.made_by.username,
        "made_at": webhook.made_at,
        "changed_by": says.made_by.username,
        "changed_at": says.made_at,
    }


def tried(by: Caretaker, webhook_id: UUID | str, event: str | None) -> dict[str, Any]:
    """Send an example through the worker and wait for what becomes of it, as MLflow's WebhookTestResult has it."""
    webhook = subscriptions.named(webhook_id, by).webhook
    made = deliveries.test(webhook=webhook, event=event, by=by, now=timezone.now())
    tasks.wake(webhook.pk)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if attempt := made.attempts.first():
            return _result(attempt)
        time.sleep(0.05)
    late = f"Nothing was sent within {PATIENCE:.0f} seconds. See its deliveries later, and whether its worker runs."
    return {"success": False, "error_message": late}


def _result(attempt: DeliveryAttempt) -> dict[str, Any]:
    found = {"success": attempt.arrived, "response_status": attempt.status, "response_body": attempt.answer}
    found["error_message"] = attempt.error and f"Failed to test webhook: {attempt.error}"
    return {name: value for name, value in found.items() if value not in (None, "")}


def _delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.pk,
        "event": row.event,
        "entry": row.entry and row.entry.uuid,
        "state": deliveries.state(row),
        "repeats": row.repeats_id,
        "asked_by": row.asked_by and row.asked_by.username,
        "made_at": row.made_at,
        "attempts": [
            {
                "number": attempt.number,
                "at": attempt.at,
                "milliseconds": attempt.milliseconds,
                "status": attempt.status,
                "answer": attempt.answer,
                "error": attempt.error,
                "next_at": attempt.due_at,
            }
            for attempt in row.attempts.all()
        ],
    }


def _told(request: Request, known: set[str]) -> dict[str, Any]:
    body = request.data or {}
    if not isinstance(body, dict) or set(body) - known:
        raise Invalid(f"Send an object with some of {', '.join(sorted(known))}.")
    for name, value in body.items():
        texts = value if name == "events" and isinstance(value, list) else [value]
        if (name == "events") != isinstance(value, list) or not all(isinstance(text, str) for text in texts):
            raise Invalid(f"`{name}` must be a {'list of texts' if name == 'events' else 'text'}.")
    return body


def _identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Unknown(f"{text[:60]!r} is no identifier.") from error


_ONE = "api/v1/webhooks/<uuid:webhook_id>"
urlpatterns = [
    path("api/v1/webhooks", Webhooks.as_view()),
    path(_ONE, Webhook.as_view()),
    path(f"{_ONE}/test", Test.as_view()),
    path(f"{_ONE}/deliveries", Deliveries.as_view()),
    path(f"{_ONE}/deliveries/<uuid:delivery_id>/repeat", Repeat.as_view()),
]
