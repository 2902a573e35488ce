"""Which checks a version owes, which were done, and what they say together. Light: no check is performed here."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from monitoring import verdicts
from monitoring.models import CheckResult, CheckRun
from registry import canonical, policies
from registry.models import ModelVersion, Policy

LEASE = timedelta(minutes=30)
QUEUES = {"drift": "drift"}  # evidently wants a process of its own; every other check shares one


def open_missing(now: datetime) -> list[CheckRun]:
    """Open the runs that versions owe under the policy in force; return all that nobody is at."""
    for version in ModelVersion.objects.filter(unservable="").select_related("model"):
        owed = policies.in_force(version.model.tier)
        have = set(version.check_runs.filter(policy=owed).values_list("check_name", flat=True))
        missing = [name for name in owed.rules["checks"] if name not in have]
        CheckRun.objects.bulk_create(
            [CheckRun(version=version, check_name=name, policy=owed, opened_at=now) for name in missing],
            ignore_conflicts=True,
        )
    return list(waiting(now))


def waiting(now: datetime) -> QuerySet[CheckRun]:
    """Return the runs without a result that nobody is at."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    return CheckRun.objects.filter(free, result=None).order_by("opened_at")


def lease(run: CheckRun, now: datetime) -> bool:
    """Take a run; False when it is done or another worker has it."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    rows = CheckRun.objects.filter(free, pk=run.pk, result=None)
    return rows.update(leased_until=now + LEASE) == 1


def results(version: ModelVersion, policy: Policy) -> dict[str, CheckResult]:
    """Return the results of a version under a policy, by check."""
    rows = CheckResult.objects.filter(run__version=version, run__policy=policy).select_related("run")
    return {row.run.check_name: row for row in rows}


def results_of(versions: Collection[ModelVersion]) -> dict[tuple[UUID, UUID], dict[str, CheckResult]]:
    """Return the results of many versions under every policy, by (version, policy) and check; one query, light rows."""
    found: dict[tuple[UUID, UUID], dict[str, CheckResult]] = {}
    rows = CheckResult.objects.filter(run__version__in=versions).select_related("run")
    for row in rows.defer("evidence", "measurements", "reasons"):
        found.setdefault((row.run.version_id, row.run.policy_id), {})[row.run.check_name] = row
    return found


def verdict(version: ModelVersion, policy: Policy) -> str:
    """Return the worst verdict of all checks the policy requires; `insufficient` while one is missing."""
    return joined(results(version, policy), policy)


def joined(found: Mapping[str, CheckResult], policy: Policy) -> str:
    """Return the verdict of these results under a policy."""
    names = policy.rules["checks"]
    return verdicts.worst([found[name].verdict if name in found else verdicts.INSUFFICIENT for name in names])


def evidence_digest(version: ModelVersion, policy: Policy) -> str:
    """Return the digest of all evidence on a version under a policy: what a signature binds."""
    return digest_of(results(version, policy))


def digest_of(found: Mapping[str, CheckResult]) -> str:
    """Return the digest of these results as evidence."""
    return canonical.digest({name: row.digest for name, row in found.items()})


def record(result: CheckResult) -> dict[str, Any]:
    """Return what a result's digest is computed over."""
    return {
        "version": result.run.version.digest,
        "check": result.run.check_name,
        "policy": result.run.policy.digest,
        "verdict": result.verdict,
        "reasons": result.reasons,
        "measurements": result.measurements,
        "evidence": result.evidence,
    }
