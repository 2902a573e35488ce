"""What is known of a data set beside its bytes: its statistics, computed once, and how long it is to be kept."""

from django.db import models

from registry.ids import uuid7
from registry.models.catalogue import Dataset
from registry.models.people import User


class DatasetStatistics(models.Model):
    """What the columns of a data set hold, as one version of the measuring code (`code`) found it.

    `content`: rows, window (first and last moment), columns (see registry.profiles); `digest`: SHA-256 of its
    canonical form.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="statistics")
    code = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)
    content = models.JSONField()
    computed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "code"], name="statistics_once_per_code")]


class DatasetRetention(models.Model):
    """The retention class of a data set from now on; the newest row is in force, the others are its history."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="retentions")
    name = models.CharField(max_length=60)
    reason = models.TextField(blank=True)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT)
    set_at = models.DateTimeField()
