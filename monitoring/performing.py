"""Perform a check run: lease it, measure, judge by its policy, keep result and ledger entry together."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction

from monitoring import frames, runs, verdicts
from monitoring.candidates import Candidate
from monitoring.checks import bias, consistency, drift, performance
from monitoring.events import Event
from monitoring.measurement import Measured
from monitoring.models import CheckResult, CheckRun
from registry import canonical, ledger
from registry.refusals import Invalid, Mismatch, Refusal
from scoring import runtimes

ONLINE_ROWS = 300  # rows sent one by one as JSON to compare with the batch

log = logging.getLogger(__name__)
Check = Callable[[Candidate, Mapping[str, Any]], Measured]


def measure_performance(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """How well the candidate orders the holdout."""
    budget = rules["review_budget"]
    return _beside_champion(candidate, lambda scores: performance.measure(candidate.labels, scores, budget=budget))


def measure_bias(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Whether the review budget falls on groups unequally."""
    if not candidate.groups:
        raise Invalid("The holdout names no protected attribute. Register it with at least one column of that role.")
    budget = rules["review_budget"]

    def measure(scores: np.ndarray) -> Measured:
        return bias.measure(candidate.labels, scores >= performance.threshold_at(scores, budget), candidate.groups)

    return _beside_champion(candidate, measure)


def _beside_champion(candidate: Candidate, measure: Callable[[np.ndarray], Measured]) -> Measured:
    """Measure the candidate's scores and, as evidence, the champion's on the same rows: like is compared with like."""
    measured = measure(candidate.scores)
    if candidate.champion is None or candidate.champion_scores is None:
        return measured
    beside = [item.dump() for item in measure(candidate.champion_scores).measurements]
    champion = {"version": candidate.champion.version.digest, "measurements": beside}
    return replace(measured, evidence={**measured.evidence, "champion": champion})


def measure_consistency(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Whether the candidate repeats itself, by the very code that serves."""
    rows = candidate.holdout.head(ONLINE_ROWS).to_dict("records")
    sent = [candidate.schema.vector(frames.plain(row, candidate.schema)) for row in rows]
    flavour = candidate.runtime.flavour
    online = np.array([float(runtimes.checked(candidate.runtime.explain(row[None]), flavour).score[0]) for row in sent])
    return consistency.measure(
        golden=candidate.golden(),
        online=online,
        batch=candidate.scores,
        champion=candidate.champion_scores,
        budget=rules["review_budget"],
    )


def measure_drift(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Whether the holdout still looks like the reference."""
    reference = frames.encode(candidate.reference, candidate.schema)
    names = candidate.schema.names
    return drift.measure(_columns(names, reference), _columns(names, candidate.vectors))


def _columns(names: list[str], rows: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(names, rows.T, strict=True))


CHECKS: dict[str, Check] = {
    "performance": measure_performance,
    "bias": measure_bias,
    "consistency": measure_consistency,
}


def perform(run: CheckRun, check: Check, *, now: datetime) -> CheckResult | None:
    """Perform a run; None when it is done already or another worker has it."""
    if not runs.lease(run, now):
        return None
    started = time.perf_counter()
    measured, verdict, reasons = _judged(run, check)
    result = CheckResult(
        run=run,
        verdict=verdict,
        reasons=reasons,
        measurements=[item.dump() for item in measured.measurements],
        evidence=measured.evidence,
        performed_at=now,
        seconds=time.perf_counter() - started,
    )
    result.digest = canonical.digest(runs.record(result))
    facts = {
        "check": run.check_name,
        "verdict": verdict,
        "result": result.digest,
        "policy": run.policy.digest,
    }
    try:
        with transaction.atomic():
            result.save(force_insert=True)
            ledger.append(
                Event.CHECK_PERFORMED,
                subject=f"version:{run.version_id}",
                actor="service:checks",
                at=now,
                facts=facts,
            )
    except IntegrityError:
        return None  # a worker whose lease had expired was faster after all
    return result


def _judged(run: CheckRun, check: Check) -> tuple[Measured, str, list[str]]:
    rules = run.policy.rules
    try:
        measured = check(Candidate(run.version), rules)
        canonical.dump(measured.evidence)  # what has no digest (an infinite edge) is no evidence
    except Mismatch as mismatch:
        return Measured([]), verdicts.FAIL, [mismatch.detail]
    except Refusal as refusal:
        return Measured([]), verdicts.INSUFFICIENT, [refusal.detail]
    except Exception as error:  # noqa: BLE001 - a check that breaks is a result: `error`, which never counts as pass
        log.exception("check %s of %s broke", run.check_name, run.version)
        return (
            Measured([]),
            verdicts.ERROR,
            [f"The check broke: {type(error).__name__}. See the worker's log."],
        )
    verdict, reasons = verdicts.judge(measured.measurements, rules["checks"][run.check_name])
    return measured, verdict, reasons
