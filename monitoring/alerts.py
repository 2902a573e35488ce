"""Raise an alert, once; answer it."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from monitoring import verdicts
from monitoring.events import Event
from monitoring.models import Alert, Disposition, MonitorRun
from registry import ledger
from registry.canonical import sha256
from registry.models import User
from registry.refusals import Conflict, Invalid
from scoring.models import RefusedLoad

BROKEN = "monitor broken"  # the kind of an alert that a monitor cannot judge


def open_alerts() -> QuerySet[Alert]:
    """Return the alerts that nobody has answered."""
    return Alert.objects.filter(disposition=None).select_related("model", "run").order_by("-raised_at")


def raise_for_run(run: MonitorRun, now: datetime) -> None:
    """Raise the alert that a monitor run calls for, unless one of the same deployment, monitor and kind is open.

    A crossed limit is one kind; that a monitor cannot judge is another, for then nobody watches. A window that holds
    too little for a verdict (no adverse event among so few) is neither: the next one may hold more.
    """
    calling = (verdicts.FAIL,) if run.decisions else (verdicts.ERROR, verdicts.INSUFFICIENT)
    if run.verdict not in calling:
        return
    kind = run.monitor if run.verdict == verdicts.FAIL else BROKEN
    if open_alerts().filter(run__deployment=run.deployment, run__monitor=run.monitor, kind=kind).exists():
        return
    detail = "; ".join(run.reasons)
    if kind == BROKEN:
        detail = f"The {run.monitor} monitor cannot judge: {detail} It looks again by itself once the cause is gone."
    with transaction.atomic():
        alert = Alert.objects.create(model=run.deployment.model, kind=kind, detail=detail, run=run, raised_at=now)
        _enter(alert, now)


def raise_for_refused_loads(now: datetime) -> int:
    """Raise an alert for each refused load that has none; return how many."""
    raised = 0
    for refused in RefusedLoad.objects.filter(alert=None).select_related("deployment__model"):
        with transaction.atomic():
            alert, made = Alert.objects.get_or_create(
                refused=refused,
                defaults={
                    "model": refused.deployment.model,
                    "kind": "refused load",
                    "detail": refused.reason,
                    "raised_at": now,
                },
            )
            if made:
                _enter(alert, now)
        raised += made
    return raised


def _enter(alert: Alert, now: datetime) -> None:
    facts = {"alert": str(alert.id), "kind": alert.kind, "detail": alert.detail[:1000]}
    subject = f"model:{alert.model_id}"
    ledger.append(Event.ALERT_RAISED, subject=subject, actor="service:monitors", at=now, facts=facts)


@transaction.atomic
def answer(*, alert: Alert, text: str, by: User, now: datetime) -> Disposition:
    """Record how a person answered an alert; each is answered once, with a reason."""
    if not text.strip():
        raise Invalid("Say what was found and what is done about it.")
    if Disposition.objects.filter(alert=alert).exists():
        raise Conflict("This alert was answered already.")
    disposition = Disposition.objects.create(alert=alert, text=text.strip(), answered_by=by, answered_at=now)
    facts = {"alert": str(alert.id), "text": sha256(text.strip().encode())}
    subject = f"model:{alert.model_id}"
    ledger.append(Event.ALERT_ANSWERED, subject=subject, actor=by.actor, at=now, facts=facts)
    return disposition
