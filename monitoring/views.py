"""Alerts and how they were answered; what monitors measured."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring import alerts, pictures
from monitoring.models import Alert, MonitorRun
from registry.api.problems import status_of
from registry.pages import identifier, needs, only_post, person_of, screenful
from registry.refusals import Refusal

RECENT = 12  # windows of the line over time


@require_safe
@needs("registry.read")
def monitoring_page(request: HttpRequest) -> HttpResponse:
    """Show alerts, the open ones first, and the newest monitor runs."""
    return _page(request)


def _page(
    request: HttpRequest,
    *,
    refused: Alert | None = None,
    refusal: Refusal | None = None,
    text: str = "",
    status: int = 200,
) -> HttpResponse:
    before = identifier(request.GET.get("before", ""))
    found = MonitorRun.objects.select_related("deployment__package__version__model").defer("evidence").order_by("-id")
    runs, more = screenful(found.filter(pk__lt=before) if before else found, 25)
    answered = Alert.objects.exclude(disposition=None).select_related("model", "run", "disposition__answered_by")
    context = {
        "section": "monitoring",
        "alerts": alerts.open_alerts().defer("run__evidence")[:50],
        "answered": answered.defer("run__evidence").order_by("-raised_at")[:20],
        "runs": runs,
        "next": runs[-1].pk if more else None,
        "before": before,
        "refused": refused,
        "refusal": refusal,
        "text": text,
    }
    return render(request, "monitoring.html", context, status=status)


@needs("registry.read", "monitoring.answer_alert")
@only_post("monitoring")
def answer_alert(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """Record how somebody answered an alert."""
    alert = get_object_or_404(Alert, pk=alert_id)
    text = request.POST.get("text", "")
    try:
        alerts.answer(alert=alert, text=text, by=person_of(request), now=timezone.now())
    except Refusal as refusal:
        return _page(request, refused=alert, refusal=refusal, text=text, status=status_of(refusal)[0])
    messages.success(request, "The alert was answered. Your reason is kept in the audit trail.")
    return redirect("monitoring")


@require_safe
@needs("registry.read")
def run_page(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Show what a monitor measured over one window."""
    rows = MonitorRun.objects.select_related(
        "deployment__package__version__model", "deployment__package__policy", "alert"
    )
    run = get_object_or_404(rows, pk=run_id)
    package = run.deployment.package
    limits = package.policy.rules.get("monitors", {}).get(run.monitor, {}).get("limits", {})
    context = {
        "section": "monitoring",
        "run": run,
        "version": package.version,
        "rows": pictures.rows(run.measurements, (), limits),
        "columns": pictures.columns(run, package.version.schema, "this window"),
        "scores": pictures.scores(run.evidence),
        "roc": pictures.roc(run.evidence),
        "trend": pictures.psi_over_time(_recent(run), limits.get("largest_psi", {}).get("fail_above")),
    }
    return render(request, "monitor_run.html", context)


def _recent(run: MonitorRun) -> list[MonitorRun]:
    """Return the last windows of the same monitor up to this one, oldest first."""
    same = MonitorRun.objects.filter(
        monitor=run.monitor, deployment__model=run.deployment.model_id, window_end__lte=run.window_end
    )
    return list(same.order_by("-window_end")[:RECENT])[::-1]
