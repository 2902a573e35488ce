"""What people decide: requests, signatures, orders, cases, dossiers. Rows are born complete and never change."""

from django.db import models

from monitoring.models import Alert
from registry.ids import uuid7
from registry.models import ModelVersion, Package, RegisteredModel, User


class ApprovalRequest(models.Model):
    """Somebody asks that a package be deployed by a plan. `digest` binds package, policy, evidence and plan."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    package = models.ForeignKey(Package, on_delete=models.PROTECT, related_name="requests")
    evidence = models.CharField(max_length=64)
    plan = models.JSONField()
    reason = models.TextField()
    digest = models.CharField(max_length=64)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT)
    requested_at = models.DateTimeField()

    class Meta:
        permissions = [
            ("request_approval", "Ask for approval of a package"),
            ("sign", "Sign or refuse requests"),
            ("promote", "Order that approved packages be deployed or rolled back"),
            ("issue_dossier", "Issue dossiers"),
        ]


class Signature(models.Model):
    """A person's yes or no to exactly the digest of a request, in a role, with its meaning and reason."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="signatures")
    signer = models.ForeignKey(User, on_delete=models.PROTECT)
    role = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10)
    meaning = models.CharField(max_length=200)
    reason = models.TextField()
    digest = models.CharField(max_length=64)
    signed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "signer"], name="one_signature_per_person_and_request"),
            models.CheckConstraint(condition=models.Q(outcome__in=["approve", "reject"]), name="outcome_is_yes_or_no"),
        ]


class Order(models.Model):
    """Somebody orders that an approved request be executed now; the governor does it and makes the deployment."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="orders")
    kind = models.CharField(max_length=10)
    reason = models.TextField()
    ordered_by = models.ForeignKey(User, on_delete=models.PROTECT)
    ordered_at = models.DateTimeField()


class OrderRefusal(models.Model):
    """The governor found an order that must not be executed any more."""

    order = models.OneToOneField(Order, primary_key=True, on_delete=models.PROTECT, related_name="refusal")
    reason = models.TextField()
    refused_at = models.DateTimeField()


class Case(models.Model):
    """A retraining case, opened by an alert that nobody answered."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="cases")
    alert = models.OneToOneField(Alert, on_delete=models.PROTECT, related_name="case")
    cause = models.TextField()
    opened_at = models.DateTimeField()


class CaseResult(models.Model):
    """How a case ended: with a new version at the front door, or with the reason why there is none."""

    case = models.OneToOneField(Case, primary_key=True, on_delete=models.PROTECT, related_name="result")
    version = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="from_cases")
    detail = models.TextField()
    ended_at = models.DateTimeField()


class Dossier(models.Model):
    """An issued dossier. `content` is the artifact that holds its files; the proofs are added when it is fetched."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    kind = models.CharField(max_length=20)
    subject = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    content = models.CharField(max_length=64)
    entry = models.UUIDField()
    issued_by = models.ForeignKey(User, on_delete=models.PROTECT)
    issued_at = models.DateTimeField()
