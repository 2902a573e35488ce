"""Dossiers: issue, wait until every entry is in the log, fetch, verify."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from governance.dossier import issue
from governance.forms import PeriodForm
from governance.models import Dossier
from registry import proofs, versions
from registry.ledger import LOGS
from registry.models import RegisteredModel
from registry.pages import identifier, needs, only_post, person_of, screenful
from registry.refusals import Invalid
from scoring import decisions, deployments


@require_safe
@needs("registry.read")
def dossier_list(request: HttpRequest) -> HttpResponse:
    """Show the dossiers that were issued, newest first."""
    before = identifier(request.GET.get("before", ""))
    rows = Dossier.objects.select_related("issued_by").order_by("-id")
    found, more = screenful(rows.filter(pk__lt=before) if before else rows)
    context = {"section": "dossiers", "dossiers": found, "next": found[-1].pk if more else None, "before": before}
    return render(request, "dossiers.html", {**context, "period_form": PeriodForm()})


@needs("registry.read", "governance.issue_dossier")
@only_post("version", "name", "number")
def of_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Issue the dossier of a version."""
    version = versions.version_of(name, number)
    dossier = issue.for_version(version=version, by=person_of(request), now=timezone.now())
    return redirect("dossier", dossier.pk)


@needs("registry.read", "governance.issue_dossier")
@only_post("decision", "decision_id")
def of_decision(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    """Issue the dossier of a decision."""
    decision = decisions.by_id(decision_id)
    dossier = issue.for_decision(decision=decision, by=person_of(request), now=timezone.now())
    return redirect("dossier", dossier.pk)


@needs("registry.read", "governance.issue_dossier")
@only_post("model", "name")
def of_model(request: HttpRequest, name: str) -> HttpResponse:
    """Issue the dossier of a model, or of a period of it."""
    model = versions.model_named(name)
    if "start" in request.POST:
        return _of_period(request, model)
    dossier = issue.for_model(model=model, by=person_of(request), now=timezone.now())
    return redirect("dossier", dossier.pk)


@needs("registry.read", "governance.issue_dossier")
@only_post("dossiers")
def of_period(request: HttpRequest) -> HttpResponse:
    """Issue the dossier of a period of the whole platform."""
    return _of_period(request, None)


def _of_period(request: HttpRequest, model: RegisteredModel | None) -> HttpResponse:
    form, now = PeriodForm(request.POST), timezone.now()
    if not form.is_valid():
        raise Invalid("Say from when, and until when, the dossier tells: day and time of day in UTC.")
    start, until = form.cleaned_data["start"], form.cleaned_data["until"] or now
    dossier = issue.for_period(start=start, until=until, model=model, by=person_of(request), now=now)
    return redirect("dossier", dossier.pk)


@require_safe
@needs("registry.read")
def dossier_page(request: HttpRequest, dossier_id: UUID) -> HttpResponse:
    """Show a dossier: whether it can be fetched, its digest, how to verify it."""
    dossier = issue.by_id(dossier_id)
    public = [*(str(proofs.verifier(log)) for log in LOGS), str(deployments.warrant_key())]
    context = {"section": "dossiers", "dossier": dossier, "ready": issue.ready(dossier), "keys": public}
    return render(request, "dossier.html", context)


@require_safe
@needs("registry.read")
def dossier_fragment(request: HttpRequest, dossier_id: UUID) -> HttpResponse:
    """Show whether a dossier can be fetched; to a browser without script, as its page."""
    if not request.headers.get("HX-Request"):
        return redirect("dossier", dossier_id)
    dossier = issue.by_id(dossier_id)
    return render(request, "_dossier.html", {"dossier": dossier, "ready": issue.ready(dossier)})


@require_safe
@needs("registry.read", "governance.issue_dossier")
def dossier_archive(request: HttpRequest, dossier_id: UUID) -> HttpResponse:
    """Hand out the archive."""
    dossier = issue.by_id(dossier_id)
    headers = {
        "Content-Disposition": f'attachment; filename="dossier-{dossier.pk}.zip"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return HttpResponse(issue.archive(dossier), content_type="application/zip", headers=headers)
