"""The page of one version, and what people do there: ask, sign, promote, roll back. One service call each."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from governance import approvals, forms, promotion
from governance.models import ApprovalRequest
from governance.views import reviewing
from monitoring import runs
from registry import labels, ledger, policies, registrations, versions
from registry.api.problems import status_of
from registry.models import ModelVersion
from registry.pages import lines, needs, only_post, person_of
from registry.refusals import Refusal

UNFIT = 422


@require_safe
@needs("registry.read")
def version_page(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show a version: where it stands, its evidence beside the champion's, and what may be done now.

    A number without files shows what was asked for, and why there are none.
    """
    registration = versions.registration_of(name, number)
    if hasattr(registration, "version"):
        return _page(request, versions.version_of(name, number))
    context = {
        "registration": registration,
        "description": labels.description_of(registration.model, registration),
        "standing": registrations.standing(registration),
        "word": registrations.word(registration),
        "lines": lines(ledger.about([f"version:{registration.pk}"]).reverse()[: reviewing.TRAIL]),
    }
    return render(request, "registration.html", context)


def _page(
    request: HttpRequest,
    version: ModelVersion,
    *,
    filled: dict[str, Any] | None = None,
    refused: str = "",
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    context = reviewing.facts_for_page(version, person_of(request), timezone.now())
    made = context["request_made"]
    defaults = reviewing.default_bands(context["performance"], context["policy"].rules.get("review_budget", 0.05))
    context |= {
        "description": labels.description_of(version.model, version.registration),
        "request_form": forms.RequestForm(auto_id="request-%s"),
        "bands": forms.bands(None, defaults),
        "signature_form": forms.SignatureForm(auto_id="sign-%s", initial={"request": made and made.pk}),
        "promote_form": forms.OrderForm(auto_id="promote-%s"),
        "roll_back_form": forms.OrderForm(auto_id="roll-back-%s"),
        "refused": refused,
        "refusal": refusal,
        **(filled or {}),
    }
    return render(request, "version.html", context, status=status)


def _attempt(
    request: HttpRequest,
    version: ModelVersion,
    action: str,
    filled: dict[str, Any],
    act: Callable[[], object],
    done: str,
) -> HttpResponse:
    """Do it if what was typed can be read; a refusal is shown at its form, with everything typed still there."""
    if not all(form.is_valid() for form in filled.values()):
        return _page(request, version, filled=filled, refused=action, status=UNFIT)
    try:
        act()
    except Refusal as refusal:
        status = status_of(refusal)[0]
        return _page(request, version, filled=filled, refused=action, refusal=refusal, status=status)
    messages.success(request, done)
    return _to(version)


def _to(version: ModelVersion) -> HttpResponseRedirect:
    return redirect("version", version.model.name, version.number)


@needs("registry.read", "governance.request_approval")
@only_post("version", "name", "number")
def request_approval(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Ask for approval of a version with its bands."""
    version = versions.version_of(name, number)
    form = forms.RequestForm(request.POST, auto_id="request-%s")
    bands = forms.bands(request.POST, [])

    def act() -> object:
        return approvals.request(
            version=version,
            bands=forms.banded(bands),
            reason=form.cleaned_data["reason"],
            by=person_of(request),
            now=timezone.now(),
        )

    filled = {"request_form": form, "bands": bands}
    return _attempt(request, version, "request", filled, act, "Approval was asked for. The signers see it first.")


@needs("registry.read", "governance.sign")
@only_post("version", "name", "number")
def sign(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Sign or refuse the request that this person saw."""
    version = versions.version_of(name, number)
    form = forms.SignatureForm(request.POST, auto_id="sign-%s")

    def act() -> object:
        rows = ApprovalRequest.objects.select_related("package__version__model", "package__policy", "requested_by")
        given = dict(form.cleaned_data)
        found = get_object_or_404(rows, pk=given.pop("request"), package__version=version)
        return approvals.sign(request=found, by=person_of(request), now=timezone.now(), **given)

    return _attempt(request, version, "sign", {"signature_form": form}, act, "Your signature is on record.")


@needs("registry.read", "governance.promote")
@only_post("version", "name", "number")
def promote(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Order that a version become champion."""
    return _order(request, versions.version_of(name, number), "promote", promotion.promote)


@needs("registry.read", "governance.promote")
@only_post("version", "name", "number")
def roll_back(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Order that a version serve again."""
    return _order(request, versions.version_of(name, number), "roll_back", promotion.roll_back)


def _order(request: HttpRequest, version: ModelVersion, action: str, order: Callable[..., object]) -> HttpResponse:
    form = forms.OrderForm(request.POST, auto_id=f"{action.replace('_', '-')}-%s")

    def act() -> object:
        reason = form.cleaned_data["reason"]
        return order(version=version, reason=reason, by=person_of(request), now=timezone.now())

    done = "It was ordered. The governor executes it within seconds."
    return _attempt(request, version, action, {f"{action}_form": form}, act, done)


@require_safe
@needs("registry.read")
def checks_fragment(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show the checks alone; once the last result is there, the whole page is loaded anew."""
    version = versions.version_of(name, number)
    policy = policies.in_force(version.model.tier)
    found = reviewing.checks(version, policy, runs.results(version, policy), timezone.now())
    still = reviewing.open_checks(version, found)
    headers = {} if still else {"HX-Refresh": "true"}
    context = {"version": version, "checks": found, "checks_open": still}
    return _fragment(request, version, "_checks.html", context, headers)


@require_safe
@needs("registry.read")
def order_fragment(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show whether an order still waits; once it was executed, the whole page is loaded anew."""
    version = versions.version_of(name, number)
    order = reviewing.waiting_order(version)
    headers = {} if order else {"HX-Refresh": "true"}
    return _fragment(request, version, "_order.html", {"version": version, "order": order}, headers)


def _fragment(
    request: HttpRequest, version: ModelVersion, template: str, context: dict[str, Any], headers: dict[str, str]
) -> HttpResponse:
    """Answer a fragment to htmx; somebody who follows its address by hand is led to the page."""
    if not request.headers.get("HX-Request"):
        return _to(version)
    answer = render(request, template, context)
    for header, value in headers.items():
        answer.headers[header] = value
    return answer
