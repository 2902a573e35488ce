"""What people write about models and versions. A new row replaces the one before, which stays."""

from django.db import models

from registry.ids import uuid7
from registry.models.catalogue import ModelVersion, RegisteredModel
from registry.models.people import User


class InventoryRecord(models.Model):
    """What the inventory says of a model beside what is computed; the newest row counts. Empty: not evidenced."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="inventory_records")
    developer = models.CharField(max_length=120, blank=True)
    validator = models.CharField(max_length=120, blank=True)
    business_purpose = models.TextField(blank=True)
    is_model = models.BooleanField(null=True)
    is_model_reason = models.TextField(blank=True)
    origin = models.CharField(max_length=10, blank=True)
    vendor = models.CharField(max_length=120, blank=True)
    dependencies = models.JSONField()
    jurisdictions = models.JSONField()
    ai_act_class = models.CharField(max_length=40, blank=True)
    ai_act_reason = models.TextField(blank=True)
    regulations_as_of = models.DateField()
    next_review = models.DateField(null=True)
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT)
    recorded_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["model", "-id"], name="inventory_newest")]


class Prose(models.Model):
    """What the author of a version says of it in a model card; the newest row counts. Empty: not evidenced."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="prose")
    intended_use = models.TextField(blank=True)
    limits = models.TextField(blank=True)
    out_of_scope = models.TextField(blank=True)
    ethics = models.TextField(blank=True)
    written_by = models.ForeignKey(User, on_delete=models.PROTECT)
    written_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "prose"
        indexes = [models.Index(fields=["version", "-id"], name="prose_newest")]
