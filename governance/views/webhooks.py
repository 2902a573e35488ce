"""Webhooks: those that somebody looks after, and what became of each delivery."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from governance.forms import WebhookForm
from governance.models import WebhookRevision
from governance.tasks import webhooks as tasks
from governance.webhooks import deliveries, subscriptions
from governance.webhooks.subscriptions import Caretaker
from registry import versions
from registry.api.problems import status_of
from registry.pages import identifier, needs, only_post, person_of, screenful
from registry.refusals import Invalid, Refusal

_DELIVERIES = 25  # a screenful: each shows its attempts


@needs("registry.read")
def webhook_list(request: HttpRequest) -> HttpResponse:
    """Show the webhooks that this person looks after; make one."""
    by = _caretaker(request)
    form = WebhookForm(request.POST or None, auto_id="webhook-%s")
    if request.method != "POST":
        return _list(request, by, form)
    if not form.is_valid():
        return _list(request, by, form, status=422)
    try:
        made = _make(form.cleaned_data, by)
    except Refusal as refusal:
        return _list(request, by, form, refusal=refusal, status=status_of(refusal)[0])
    messages.success(request, "The webhook was made. It is told what is entered from now on.")
    return redirect("webhook", made.webhook_id)


def _make(given: dict[str, Any], by: Caretaker) -> WebhookRevision:
    model = versions.model_named(given["model"]) if given["model"] else None
    return subscriptions.make(**{**given, "model": model}, by=by, now=timezone.now())


def _list(
    request: HttpRequest, by: Caretaker, form: WebhookForm, *, refusal: Refusal | None = None, status: int = 200
) -> HttpResponse:
    rows = list(subscriptions.looked_after(by))
    states = deliveries.states([says.webhook_id for says in rows])
    shown = [(says, states.get(says.webhook_id)) for says in rows]
    context = {"section": "webhooks", "webhooks": shown, "form": form, "refusal": refusal}
    return render(request, "webhooks.html", context, status=status)


@needs("registry.read")
def webhook_page(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Show what a webhook says, and what became of each delivery."""
    says = subscriptions.named(webhook_id, _caretaker(request))
    before = identifier(request.GET.get("before", ""))
    rows = deliveries.log(says.webhook)
    found, more = screenful(rows.filter(pk__lt=before) if before else rows, _DELIVERIES)
    context = {
        "section": "webhooks",
        "says": says,
        "deliveries": [(row, deliveries.state(row)) for row in found],
        "next": found[-1].pk if more else None,
        "before": before,
    }
    return render(request, "webhook.html", context)


@needs("registry.read")
@only_post("webhook", "webhook_id")
def set_status(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Enable, disable or remove a webhook."""
    by, wanted = _caretaker(request), request.POST.get("status", "")
    found = subscriptions.named(webhook_id, by).webhook
    if wanted == subscriptions.REMOVED:
        subscriptions.remove(webhook=found, by=by, now=timezone.now())
        messages.success(request, "The webhook was removed. What it told stays on record.")
        return redirect("webhooks")
    subscriptions.change(webhook=found, status=wanted, by=by, now=timezone.now())
    messages.success(request, "It is told from now on." if wanted == subscriptions.ACTIVE else "It is told nothing.")
    return redirect("webhook", webhook_id)


@needs("registry.read")
@only_post("webhook", "webhook_id")
def test(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Ask that an example be sent."""
    by = _caretaker(request)
    found = subscriptions.named(webhook_id, by).webhook
    return _asked(request, webhook_id, lambda: deliveries.test(webhook=found, event=None, by=by, now=timezone.now()))


@needs("registry.read")
@only_post("webhook", "webhook_id")
def repeat(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Ask that something be delivered once more."""
    asked = identifier(request.POST.get("delivery", ""))
    if asked is None:
        raise Invalid("Say which delivery is to be repeated.")
    by, found = _caretaker(request), deliveries.named(asked, webhook_id)
    return _asked(request, webhook_id, lambda: deliveries.repeat(delivery=found, by=by, now=timezone.now()))


def _asked(request: HttpRequest, webhook_id: UUID, ask: Callable[[], object]) -> HttpResponse:
    ask()
    tasks.wake(webhook_id)
    messages.success(request, "It is being sent. Look again in a moment.")
    return redirect("webhook", webhook_id)


def _caretaker(request: HttpRequest) -> Caretaker:
    person = person_of(request)
    return Caretaker.of(person, person.has_perm)
