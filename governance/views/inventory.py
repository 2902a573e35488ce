"""The inventory: the list with its filters, and the page of one model where it is kept."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from governance import inventory as examined
from governance.forms import InventoryForm
from registry import inventory, ledger, policies, regulations, stewards, versions
from registry.api.problems import status_of
from registry.ledger import Event
from registry.models import RegisteredModel
from registry.pages import kept, lines, needs, person_of, screenful, whole_number
from registry.refusals import Refusal

STATES = (("overdue", "Review overdue"), ("unrecorded", "Nothing recorded"))


@require_safe
@needs("registry.read")
def inventory_list(request: HttpRequest) -> HttpResponse:
    """Show what the inventory says of each model, by tier, owner and state."""
    tier = whole_number(request.GET.get("tier", ""))
    owner, state, after = (request.GET.get(name, "").strip() for name in ("owner", "state", "after"))
    today = timezone.now().date()
    rows = examined.models(tier=tier, owner=owner, state=state, today=today)
    found, more = screenful(rows.filter(name__gt=after))
    context = {
        "section": "models",
        "rows": examined.rows(found, today),
        "tiers": policies.TIERS,
        "owners": examined.owners(),
        "states": STATES,
        "tier": tier,
        "owner": owner,
        "state": state,
        "after": after,
        "next": found[-1].name if more else None,
        "kept": kept(tier=str(tier or ""), owner=owner, state=state),
    }
    return render(request, "inventory.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("registry.read")
def model_inventory(request: HttpRequest, name: str) -> HttpResponse:
    """Show what the inventory says of a model and said before; record it anew."""
    model = versions.model_named(name)
    if request.method != "POST":
        return _page(request, model, InventoryForm(initial=_initial(model)))
    form = InventoryForm(request.POST)
    if not form.is_valid():
        return _page(request, model, form, status=422)
    try:
        inventory.record(model=model, by=person_of(request), now=timezone.now(), **form.cleaned_data)
    except Refusal as refusal:
        form.take(refusal)
        return _page(request, model, form, refusal=refusal, status=status_of(refusal)[0])
    messages.success(request, "It is on record. What was recorded before stays on file.")
    return redirect("model-inventory", model.name)


def _initial(model: RegisteredModel) -> dict[str, Any]:
    record = inventory.newest([model]).get(model.pk)
    return {name: getattr(record, name) for name in inventory.FIELDS} if record else {}


def _page(
    request: HttpRequest,
    model: RegisteredModel,
    form: InventoryForm,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    row = examined.rows([model], timezone.now().date())[0]
    entries = ledger.about([f"model:{model.pk}"]).filter(event=Event.INVENTORY_RECORDED)
    context = {
        "section": "models",
        "model": model,
        "row": row,
        "cells": [(name, examined.text(tell(row), "\n")) for name, tell in examined.COLUMNS.items()],
        "nothing": examined.NOTHING,
        "history": inventory.history(model),
        "lines": lines(entries.reverse()[:20]),
        "form": form,
        "refusal": refusal,
        "against": stewards.reason_against(person_of(request), model),
        "facts": regulations.FACTS,
        "regulations_as_of": regulations.AS_OF,
    }
    return render(request, "model_inventory.html", context, status=status)
