"""Monitors on production: find the windows not yet looked at, measure, judge, raise alerts.

A window belongs to a package, whichever of its deployments answered: a rollback to it goes on where it stopped. Rows
are taken in the order in which they were settled, so that none is missed, however late it was committed. What was
answered by a package's fallback has no score: it is counted apart, and in nobody's distribution.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from monitoring import alerts, faults, frames, verdicts
from monitoring.candidates import Candidate
from monitoring.checks import drift, performance
from monitoring.events import Event
from monitoring.examinations import parameters
from monitoring.measurement import Measured, Measurement
from monitoring.models import MonitorRun
from registry import canonical, ledger, locks
from registry.models.transaction import settled_behind
from registry.refusals import Invalid, Mismatch
from registry.schema import SCORE
from scoring import deployments
from scoring.models import Decision, Deployment, Outcome

START = (0, UUID(int=0))  # before every row
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """What a monitor took and measured: how many decisions, made when, up to which row (transaction, id)."""

    decisions: int
    start: datetime
    end: datetime
    until: tuple[int, UUID]
    measured: Measured


@dataclass(frozen=True)
class Monitor:
    """Where a monitor finds its rows, how many decisions they are about (at most `size`), how it measures them."""

    rows: Callable[[Deployment], QuerySet[Any]]
    count: Callable[[QuerySet[Any], int], int]
    measure: Callable[[Deployment, QuerySet[Any], int], Window]


def watch_all(now: datetime) -> list[MonitorRun]:
    """Measure every complete window of every champion; nothing happens for one already measured."""
    return [run for deployment in deployments.champions() for run in _watch(deployment, now)]


def _watch(deployment: Deployment, now: datetime) -> list[MonitorRun]:
    """Let each monitor look by itself: one that breaks leaves the others watching."""
    monitors = deployment.package.policy.rules.get("monitors", {})
    with locks.alone(f"monitors:{deployment.model_id}") as mine:
        done = [_watched(deployment, name, now) for name in monitors] if mine else []
    return [run for run in done if run]


def _watched(deployment: Deployment, name: str, now: datetime) -> MonitorRun | None:
    newest = _newest(deployment, name)
    try:
        return _look(deployment, name, newest, now)
    except faults.INTERRUPTIONS:
        log.exception("the %s monitor of %s was interrupted; it looks again", name, deployment.model)
        return None
    except Exception as fault:  # noqa: BLE001 - a monitor that breaks is a run that says so, and an alert
        return _cannot_judge(deployment, name, newest, fault, now)


def _newest(deployment: Deployment, name: str) -> MonitorRun | None:
    """Return the last run of a monitor on a package: of those at the furthest row, the last."""
    rows = MonitorRun.objects.filter(deployment__package=deployment.package_id, monitor=name).defer("evidence")
    return rows.order_by("-cursor_xid", "-cursor", "-id").first()


def _look(deployment: Deployment, name: str, newest: MonitorRun | None, now: datetime) -> MonitorRun | None:
    monitor = MONITORS.get(name)
    if monitor is None:
        raise Invalid(f"No monitor is named {name}. Adopt a policy that names only {', '.join(MONITORS)}.")
    rules = deployment.package.policy.rules["monitors"][name]
    place = (newest.cursor_xid, newest.cursor) if newest else START
    rows, size = settled_behind(monitor.rows(deployment), *place), rules["window"]
    if monitor.count(rows, size) < size:
        return None
    window = monitor.measure(deployment, rows, size)
    verdict, reasons = verdicts.judge(window.measured.measurements, rules["limits"])
    return _keep(_run(deployment, name, window, verdict, reasons, now), now)


def _decisions(deployment: Deployment) -> QuerySet[Decision]:
    version = deployment.package.version
    if version.reference_id is None:
        raise Invalid(
            f"{version} was registered without a reference data set, so its traffic is compared with nothing. "
            "Register a version that names one (tag countersign.reference)."
        )
    return _answers(deployment).filter(score__isnull=False)


def _answers(deployment: Deployment) -> QuerySet[Decision]:
    """Return what was answered by a package; what only repeats an answer is not counted twice."""
    return Decision.objects.filter(deployment__package=deployment.package_id, repetition=None)


def _outcomes(deployment: Deployment) -> QuerySet[Outcome]:
    return Outcome.objects.filter(deployment__package=deployment.package_id, decision__score__isnull=False)


def _drift(deployment: Deployment, rows: QuerySet[Any], size: int) -> Window:
    """Inputs and scores of the next window of decisions against the version's reference."""
    candidate = Candidate(deployment.package.version)
    reference = frames.encode(candidate.reference, candidate.schema)
    taken = list(rows.only("xid", "at", "score", "vector")[:size])
    names = [*candidate.schema.names, SCORE]
    before = np.column_stack([reference, candidate.runtime.score(reference).score])
    after = np.column_stack([np.array([row.vector for row in taken]), [row.score for row in taken]])
    was, now = (dict(zip(names, side.T, strict=True)) for side in (before, after))
    rules = deployment.package.policy.rules
    measured = drift.measure(was, now, **parameters(rules, "drift", "delta", "alpha"))
    return _window(taken, [row.at for row in taken], measured)


def _performance(deployment: Deployment, rows: QuerySet[Any], size: int) -> Window:
    """Scores of the next window of decisions whose outcome was recorded since the last one, however old they are."""
    kept = ("xid", "label", "decision__at", "decision__score")
    taken: list[Outcome] = []
    newest: dict[UUID, Outcome] = {}
    for outcome in rows.select_related("decision").only(*kept).iterator():
        taken.append(outcome)
        newest[outcome.decision_id] = outcome
        if len(newest) == size:
            break
    scores = np.array([row.decision.score for row in newest.values()])
    labels = np.array([row.label for row in newest.values()])
    measured = performance.measure(labels, scores, budget=deployment.package.policy.rules["review_budget"])
    return _window(taken, [row.decision.at for row in newest.values()], measured)


def _fallbacks(deployment: Deployment, rows: QuerySet[Any], size: int) -> Window:
    """How many of the next answers had no score."""
    taken = list(rows.only("xid", "at", "score")[:size])
    share = sum(row.is_fallback for row in taken) / len(taken)
    measured = Measured([Measurement("fallback_share", share, len(taken))])
    return _window(taken, [row.at for row in taken], measured)


def _window(taken: list[Any], moments: list[datetime], measured: Measured) -> Window:
    return Window(len(moments), min(moments), max(moments), (taken[-1].xid, taken[-1].pk), measured)


def _all(rows: QuerySet[Any], size: int) -> int:
    return rows.order_by()[:size].count()


def _distinct(rows: QuerySet[Any], size: int) -> int:
    return rows.order_by().values("decision").distinct()[:size].count()


MONITORS: Mapping[str, Monitor] = {
    "drift": Monitor(_decisions, _all, _drift),
    "performance": Monitor(_outcomes, _distinct, _performance),
    "fallbacks": Monitor(_answers, _all, _fallbacks),
}


def _run(
    deployment: Deployment, name: str, window: Window, verdict: str, reasons: list[str], now: datetime
) -> MonitorRun:
    canonical.dump(window.measured.evidence)  # an infinite edge is a fault of the monitor, not of the database
    return MonitorRun(
        deployment=deployment,
        monitor=name,
        window_start=window.start,
        window_end=window.end,
        cursor_xid=window.until[0],
        cursor=window.until[1],
        decisions=window.decisions,
        verdict=verdict,
        reasons=reasons,
        measurements=[item.dump() for item in window.measured.measurements],
        evidence=window.measured.evidence,
        performed_at=now,
    )


def _cannot_judge(
    deployment: Deployment, name: str, newest: MonitorRun | None, fault: Exception, now: datetime
) -> MonitorRun | None:
    """Keep why a monitor cannot look at its next window: once, and it stays where it was to look again."""
    verdict, reason = faults.verdict_of(fault, f"{name} monitor")
    if isinstance(fault, Mismatch):
        verdict = verdicts.ERROR  # bytes that do not agree say nothing about the traffic
    if newest and (newest.verdict, newest.reasons) == (verdict, [reason]):
        return None
    log.error("the %s monitor of %s cannot judge", name, deployment.model, exc_info=fault)
    place = (newest.cursor_xid, newest.cursor) if newest else START
    nothing = Window(0, now, now, place, Measured([]))
    return _keep(_run(deployment, name, nothing, verdict, [reason], now), now)


def _keep(run: MonitorRun, now: datetime) -> MonitorRun:
    facts = {
        "monitor": run.monitor,
        "verdict": run.verdict,
        "decisions": run.decisions,
        "until": run.window_end.isoformat(),
    }
    subject = f"model:{run.deployment.model_id}"
    with transaction.atomic():
        run.save(force_insert=True)
        ledger.append(Event.MONITOR_PERFORMED, subject=subject, actor="service:monitors", at=now, facts=facts)
        alerts.raise_for_run(run, now)
    return run
