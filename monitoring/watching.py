"""Monitors on production: find the windows of decisions not yet looked at, measure, judge, raise alerts."""

import logging
from datetime import datetime
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction

from monitoring import alerts, frames, verdicts
from monitoring.candidates import Candidate
from monitoring.checks import drift, performance
from monitoring.events import Event
from monitoring.measurement import Measured
from monitoring.models import MonitorRun
from registry import ledger
from registry.models import RegisteredModel
from scoring import deployments
from scoring.models import Decision, Deployment, Outcome

log = logging.getLogger(__name__)


def watch_all(now: datetime) -> list[MonitorRun]:
    """Measure every complete window of every champion; nothing happens for one already measured."""
    found = (deployments.current(model) for model in RegisteredModel.objects.all())
    return [run for deployment in found if deployment for run in _watched(deployment, now)]


def _watched(deployment: Deployment, now: datetime) -> list[MonitorRun]:
    try:
        return _watch(deployment, now)
    except Exception:  # noqa: BLE001 - one model that cannot be measured must not leave the others unwatched
        log.exception("the monitors of %s broke", deployment.model)
        return []


def _watch(deployment: Deployment, now: datetime) -> list[MonitorRun]:
    monitors: dict[str, Any] = deployment.package.policy.rules.get("monitors", {})
    finders = {"drift": _drift, "performance": _performance}
    done = [_run(deployment, name, finders[name](deployment, rules), rules, now) for name, rules in monitors.items()]
    return [run for run in done if run]


Window = tuple[list[Decision], Measured]


def _since(deployment: Deployment, monitor: str) -> datetime:
    last = MonitorRun.objects.filter(deployment=deployment, monitor=monitor).order_by("-window_end").first()
    return last.window_end if last else deployment.made_at


def _drift(deployment: Deployment, rules: dict[str, Any]) -> Window | None:
    """Inputs and scores of the next window of decisions against the version's reference."""
    rows = deployment.decisions.filter(at__gt=_since(deployment, "drift")).order_by("at")
    decisions = list(rows[: rules["window"]])
    candidate = Candidate(deployment.package.version)
    if len(decisions) < rules["window"] or candidate.version.reference is None:
        return None
    reference = frames.encode(candidate.reference, candidate.schema)
    current = np.array([decision.vector for decision in decisions])
    names = [*candidate.schema.names, "score"]
    before = np.column_stack([reference, candidate.runtime.score(reference)])
    after = np.column_stack([current, [decision.score for decision in decisions]])
    columns = (dict(zip(names, rows.T, strict=True)) for rows in (before, after))
    return decisions, drift.measure(*columns)


def _performance(deployment: Deployment, rules: dict[str, Any]) -> Window | None:
    """Scores of the next window of decisions whose outcome is known."""
    labelled = Outcome.objects.filter(
        decision__deployment=deployment, decision__at__gt=_since(deployment, "performance")
    ).select_related("decision")
    newest = {row.decision_id: row for row in labelled.order_by("observed_at")}
    chosen = sorted(newest.values(), key=lambda row: row.decision.at)[: rules["window"]]
    if len(chosen) < rules["window"]:
        return None
    scores = np.array([row.decision.score for row in chosen])
    labels = np.array([row.label for row in chosen])
    return [row.decision for row in chosen], performance.measure(
        labels, scores, budget=deployment.package.policy.rules["review_budget"]
    )


def _run(
    deployment: Deployment, monitor: str, window: Window | None, rules: dict[str, Any], now: datetime
) -> MonitorRun | None:
    if window is None:
        return None
    decisions, measured = window
    verdict, reasons = verdicts.judge(measured.measurements, rules["limits"])
    run = MonitorRun(
        deployment=deployment,
        monitor=monitor,
        window_start=decisions[0].at,
        window_end=decisions[-1].at,
        decisions=len(decisions),
        verdict=verdict,
        reasons=reasons,
        measurements=[item.dump() for item in measured.measurements],
        evidence=measured.evidence,
        performed_at=now,
    )
    facts = {
        "monitor": monitor,
        "verdict": verdict,
        "decisions": len(decisions),
        "until": run.window_end.isoformat(),
    }
    subject = f"model:{deployment.model_id}"
    try:
        with transaction.atomic():
            run.save(force_insert=True)
            ledger.append(Event.MONITOR_PERFORMED, subject=subject, actor="service:monitors", at=now, facts=facts)
            if verdict == verdicts.FAIL:
                alerts.raise_for_run(run, now)
    except IntegrityError:
        return None  # another worker measured this window at the same moment
    return run
