"""Which checks a version owes, which were done, and what they say together. Light: no check is performed here."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max

from monitoring import demands, verdicts
from monitoring.models import CheckResult, CheckRun
from registry import canonical, locks
from registry.models import ModelVersion, Policy

LIMIT = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)  # no attempt lives longer
# Until a run that was begun so many times is begun again: a killed worker's at once, but then an outage needs its time.
PAUSES = {2: timedelta(minutes=10)}

# What versions owe under the policy in force of their tier and was never opened. A new policy asks this only of the
# versions that matter: the newest of each model, those packaged (asked for, or serving), those without any result yet.
# `demands.names` says the same of one version.
_OWED = """
SELECT v.id, p.id, c.name
FROM registry_modelversion v
JOIN registry_registeredmodel m ON m.id = v.model_id
JOIN LATERAL (SELECT id, rules FROM registry_policy WHERE tier = m.tier ORDER BY number DESC LIMIT 1) p ON true
CROSS JOIN LATERAL (
  SELECT jsonb_object_keys(p.rules -> 'checks') UNION SELECT %s::text WHERE v.artifact ? %s) AS c (name)
WHERE v.unservable = ''
  AND NOT EXISTS (
    SELECT 1 FROM monitoring_checkrun r WHERE r.version_id = v.id AND r.policy_id = p.id AND r.check_name = c.name)
  AND (NOT EXISTS (
    SELECT 1 FROM registry_modelversion w WHERE w.model_id = v.model_id AND w.number > v.number AND w.unservable = '')
    OR EXISTS (SELECT 1 FROM registry_package k WHERE k.version_id = v.id)
    OR NOT EXISTS (
      SELECT 1 FROM monitoring_checkrun r JOIN monitoring_checkresult s ON s.run_id = r.id WHERE r.version_id = v.id))
"""


def open_missing(now: datetime) -> list[CheckRun]:
    """Open the runs that versions owe under the policy in force; return those."""
    with connection.cursor() as cursor:
        cursor.execute(_OWED, [demands.SIGNING, demands.SIGNATURE])
        owed = [CheckRun(version_id=v, policy_id=p, check_name=name, opened_at=now) for v, p, name in cursor.fetchall()]
    if not owed:
        return []
    CheckRun.objects.bulk_create(owed, ignore_conflicts=True)
    return list(CheckRun.objects.filter(pk__in=[run.pk for run in owed]).order_by("pk"))


def open_for(version: ModelVersion, policy: Policy, now: datetime) -> list[CheckRun]:
    """Open every run that this version owes under a policy and that was not opened before; return those.

    `open_missing` leaves out versions that were checked under an older policy and have a successor.
    """
    names = demands.names(version.artifact, policy.rules)
    owed = [CheckRun(version=version, policy=policy, check_name=name, opened_at=now) for name in names]
    CheckRun.objects.bulk_create(owed, ignore_conflicts=True)
    return list(CheckRun.objects.filter(pk__in=[run.pk for run in owed]))


def waiting(now: datetime) -> list[CheckRun]:
    """Return the runs without a result that nobody is at and that were left alone long enough, oldest first."""
    rows = CheckRun.objects.filter(result=None).order_by("opened_at", "pk")
    found = rows.annotate(tried=Count("attempts"), begun=Max("attempts__started_at"))
    due = [run for run in found if not run.begun or now - run.begun >= PAUSES.get(run.tried, timedelta(0))]
    held = locks.held(lock_of(run) for run in due)
    return [run for run in due if lock_of(run) not in held]


def running(version: ModelVersion, policy: Policy, now: datetime) -> set[str]:
    """Return the checks that somebody is at: begun, not done, and begun no longer ago than an attempt lives."""
    begun = CheckRun.objects.filter(version=version, policy=policy, result=None, attempts__started_at__gt=now - LIMIT)
    return set(begun.values_list("check_name", flat=True))


def lock_of(run: CheckRun) -> str:
    """Return the name of the lock that whoever performs a run holds."""
    return f"check:{run.pk}"


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
    """Return the worst verdict of all checks the version owes; `insufficient` while one is missing."""
    return joined(results(version, policy), demands.names(version.artifact, policy.rules))


def joined(found: Mapping[str, CheckResult], names: Collection[str]) -> str:
    """Return the verdict of these results over the checks of these names."""
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
