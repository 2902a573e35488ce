"""What was found on production: runs of monitors, alerts, how people answered them."""

from django.db import models

from registry.ids import uuid7
from registry.models import RegisteredModel, User
from registry.models.transaction import TransactionId
from scoring.models import Deployment, RefusedLoad


class MonitorRun(models.Model):
    """What a monitor measured over a window of a package's decisions, and how its policy judges that.

    `deployment`: what served when it looked. `cursor_xid`, `cursor`: the transaction and identifier of the last row
    the window took (a decision, or an outcome); the next window begins behind it. A run over no decisions says why
    the monitor cannot look at its next window; it took nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="monitor_runs")
    monitor = models.CharField(max_length=40)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    cursor_xid = TransactionId()
    cursor = models.UUIDField()
    decisions = models.PositiveIntegerField()
    verdict = models.CharField(max_length=12)
    reasons = models.JSONField()
    measurements = models.JSONField()
    evidence = models.JSONField()
    performed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "monitor", "cursor"],
                condition=models.Q(decisions__gt=0),
                name="one_run_per_monitor_and_window",
            )
        ]


class Alert(models.Model):
    """A limit was crossed, a monitor cannot judge, or a server refused to load what it was told to serve."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="alerts")
    kind = models.CharField(max_length=40)
    detail = models.TextField()
    run = models.OneToOneField(MonitorRun, null=True, on_delete=models.PROTECT, related_name="alert")
    refused = models.OneToOneField(RefusedLoad, null=True, on_delete=models.PROTECT, related_name="alert")
    raised_at = models.DateTimeField()

    class Meta:
        permissions = [("answer_alert", "Answer alerts")]

    @property
    def deployment(self) -> Deployment:
        """What it is about: the deployment that a monitor looked at, or that a server refused to load."""
        cause = self.run or self.refused
        if cause is None:
            raise ValueError(f"Alert {self.pk} has no cause.")
        return cause.deployment


class Disposition(models.Model):
    """How a person answered an alert."""

    alert = models.OneToOneField(Alert, primary_key=True, on_delete=models.PROTECT, related_name="disposition")
    text = models.TextField()
    answered_by = models.ForeignKey(User, on_delete=models.PROTECT)
    answered_at = models.DateTimeField()
