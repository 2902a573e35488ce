"""What was measured on candidates and how it was judged: runs and results of checks."""

from django.db import models

from registry.ids import uuid7
from registry.models import ModelVersion, Policy


class CheckRun(models.Model):
    """A check that a version owes under a policy. It is done when its result exists."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="check_runs")
    check_name = models.CharField(max_length=40)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "check_name", "policy"], name="one_run_per_check_and_policy")
        ]


class CheckAttempt(models.Model):
    """A worker began a run; whether it finished is told by the result."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    run = models.ForeignKey(CheckRun, on_delete=models.PROTECT, related_name="attempts")
    started_at = models.DateTimeField()


class CheckResult(models.Model):
    """What a check measured and how its policy judges that."""

    run = models.OneToOneField(CheckRun, primary_key=True, on_delete=models.PROTECT, related_name="result")
    verdict = models.CharField(max_length=12)
    reasons = models.JSONField()
    measurements = models.JSONField()
    evidence = models.JSONField()
    digest = models.CharField(max_length=64)
    performed_at = models.DateTimeField()
    seconds = models.FloatField()
