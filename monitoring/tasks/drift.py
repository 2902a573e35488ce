"""For the drift worker: the same test as the monitors, with evidently's exhibit beside it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery import shared_task
from django.utils import timezone

from monitoring import performing
from monitoring.candidates import Candidate
from monitoring.checks import exhibit
from monitoring.measurement import Measured
from monitoring.models import CheckRun


def measure(candidate: Candidate, rules: Mapping[str, Any]) -> Measured:
    """Measure drift and add what evidently shows; its values never judge."""
    measured = performing.measure_drift(candidate, rules)
    names = candidate.schema.names
    categorical = [column.name for column in candidate.schema.columns if column.kind in ("category", "boolean")]
    shown = exhibit.drift(candidate.reference[names], candidate.holdout[names], categorical=categorical)
    return replace(measured, evidence={**measured.evidence, "evidently": shown})


@shared_task
def perform_check(run_id: str) -> None:
    """Perform one drift check; nothing happens if it is done or another worker has it."""
    run = CheckRun.objects.select_related("version__model", "policy").get(pk=run_id)
    performing.perform(run, measure, now=timezone.now())
