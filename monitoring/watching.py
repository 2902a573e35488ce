"""Monitors on production: find the windows of decisions not yet looked at, measure, judge, raise alerts."""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from monitoring import alerts, frames, verdicts
from monitoring.candidates import Candidate
from monitoring.checks import drift, performance
from monitoring.events import Event
from monitoring.measurement import Measured
from monitoring.models import MonitorRun
from registry import ledger
from registry.models import RegisteredModel
from registry.schema import SCORE
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


Window = tuple[list[Decision], UUID, Measured]  # what was looked at, the last row taken, what was measured


def _behind(deployment: Deployment, monitor: str, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows that no window of this monitor has taken, oldest first (identifiers sort by time)."""
    last = MonitorRun.objects.filter(deployment=deployment, monitor=monitor).order_by("-cursor").first()
    return (rows.filter(id__gt=last.cursor) if last else rows).order_by("id")


def _drift(deployment: Deployment, rules: dict[str, Any]) -> Window | None:
    """Inputs and scores of the next window of decisions against the version's reference."""
    decisions = list(_behind(deployment, "drift", deployment.decisions.all())[: rules["window"]])
    candidate = Candidate(deployment.package.version)
    if len(decisions) < rules["window"] or candidate.version.reference is None:
        return None
    reference = frames.encode(candidate.reference, candidate.schema)
    current = np.array([decision.vector for decision in decisions])
    names = [*candidate.schema.names, SCORE]
    before = np.column_stack([reference, candidate.runtime.score(reference)])
    after = np.column_stack([current, [decision.score for decision in decisions]])
    columns = (dict(zip(names, rows.T, strict=True)) for rows in (before, after))
    return decisions, decisions[-1].id, drift.measure(*columns)


def _performance(deployment: Deployment, rules: dict[str, Any]) -> Window | None:
    """Scores of the next window of decisions whose outcome was recorded since the last one, however old they are."""
    outcomes = Outcome.objects.filter(decision__deployment=deployment).select_related("decision")
    newest: dict[UUID, Outcome] = {}
    for outcome in _behind(deployment, "performance", outcomes).iterator():
        newest[outcome.decision_id] = outcome
        if len(newest) == rules["window"]:
            break
    if len(newest) < rules["window"]:
        return None
    chosen = sorted(newest.values(), key=lambda row: row.decision.at)
    scores = np.array([row.decision.score for row in chosen])
    labels = np.array([row.label for row in chosen])
    measured = performance.measure(labels, scores, budget=deployment.package.policy.rules["review_budget"])
    return [row.decision for row in chosen], max(row.id for row in chosen), measured


def _run(
    deployment: Deployment, monitor: str, window: Window | None, rules: dict[str, Any], now: datetime
) -> MonitorRun | None:
    if window is None:
        return None
    decisions, cursor, measured = window
    verdict, reasons = verdicts.judge(measured.measurements, rules["limits"])
    run = MonitorRun(
        deployment=deployment,
        monitor=monitor,
        window_start=decisions[0].at,
        window_end=decisions[-1].at,
        cursor=cursor,
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
