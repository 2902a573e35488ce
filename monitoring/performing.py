"""Perform a check run: measure, judge by its policy, keep result and ledger entry together.

A lock that dies with its holder keeps two workers from one run, and each attempt is a row. What takes only the machine
away (a killed worker, a lost database) leaves no result, and the run is tried again; one that is interrupted time and
again ends as an error, so that nobody waits for it for ever.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from monitoring import demands, examinations, faults, runs, verdicts
from monitoring.candidates import Candidate
from monitoring.events import Event
from monitoring.measurement import Measured
from monitoring.models import CheckAttempt, CheckResult, CheckRun
from registry import canonical, ledger, locks

ATTEMPTS = 3  # a run that as many attempts left without a result is not tried again

log = logging.getLogger(__name__)


def perform(run: CheckRun, *, now: datetime) -> CheckResult | None:
    """Perform a run; None when it is done, when another worker is at it, or when it was interrupted."""
    with locks.alone(runs.lock_of(run)) as mine:
        if not mine or CheckResult.objects.filter(run=run).exists():
            return None
        try:
            return _perform(run, now)
        except faults.INTERRUPTIONS:
            log.exception("check %s of %s was interrupted; it is tried again", run.check_name, run.version)
            return None


def _perform(run: CheckRun, now: datetime) -> CheckResult:
    tried = run.attempts.count()
    if tried >= ATTEMPTS:
        return _keep(run, Measured([]), verdicts.ERROR, [_interrupted(tried)], now, 0.0)
    CheckAttempt.objects.create(run=run, started_at=now)
    started = time.perf_counter()
    measured, verdict, reasons = judged(Candidate(run.version), run.check_name, run.policy.rules)
    return _keep(run, measured, verdict, reasons, now, time.perf_counter() - started)


def _interrupted(tried: int) -> str:
    return (
        f"The check was interrupted {tried} times: its worker was killed (is there memory enough?), or lost the "
        "database or the artifact store. The worker's log says which. Mend it and register the version again."
    )


def _keep(
    run: CheckRun, measured: Measured, verdict: str, reasons: list[str], now: datetime, seconds: float
) -> CheckResult:
    result = CheckResult(
        run=run,
        verdict=verdict,
        reasons=reasons,
        measurements=[item.dump() for item in measured.measurements],
        evidence=measured.evidence,
        performed_at=now,
        seconds=seconds,
    )
    result.digest = canonical.digest(runs.record(result))
    facts = {
        "check": run.check_name,
        "verdict": verdict,
        "result": result.digest,
        "policy": run.policy.digest,
    }
    subject = f"version:{run.version_id}"
    with transaction.atomic():
        result.save(force_insert=True)
        ledger.append(Event.CHECK_PERFORMED, subject=subject, actor="service:checks", at=now, facts=facts)
    return result


def judged(candidate: Candidate, name: str, rules: Mapping[str, Any]) -> tuple[Measured, str, list[str]]:
    """Measure a candidate by a check of a policy and judge it; a check that breaks is a result too.

    Only what takes the machine away is raised (`faults.INTERRUPTIONS`).
    """
    if name not in examinations.CHECKS:
        known = ", ".join(examinations.CHECKS)
        return Measured([]), verdicts.ERROR, [f"No check is named {name}. Adopt a policy that names only {known}."]
    try:
        measured = examinations.measure_of(name)(candidate, rules)
        canonical.dump([measured.evidence, [item.dump() for item in measured.measurements]])  # or it has no digest
        return measured, *verdicts.judge(measured.measurements, demands.limits(rules, name))
    except faults.INTERRUPTIONS:
        raise
    except Exception as fault:  # noqa: BLE001 - a check that breaks is a result: `error`, which never counts as pass
        log.exception("check %s of %s could not be measured", name, candidate.version)
        verdict, reason = faults.verdict_of(fault, "check")
        return Measured([]), verdict, [reason]
