"""What people decide: requests, signatures, orders, cases, dossiers; who is told. Rows are complete and stay so."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from monitoring.models import Alert
from registry.ids import uuid7
from registry.models import LedgerEntry, ModelVersion, Package, RegisteredModel, User


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


class Webhook(models.Model):
    """Somebody wants to be told what happens: of everything, or of one model alone. What it says is its revisions'."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    kind = models.CharField(max_length=20)
    model = models.ForeignKey(RegisteredModel, null=True, on_delete=models.PROTECT, related_name="webhooks")
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        permissions = [("manage_webhooks", "Make and change webhooks of everything")]


class WebhookRevision(models.Model):
    """What a webhook says from now on; the newest counts. `secret` is sealed: only the worker that sends can open it.

    `status`: ACTIVE, DISABLED, or REMOVED for ever.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=63)
    description = models.TextField(blank=True)
    url = models.TextField()
    events = ArrayField(models.CharField(max_length=80))
    secret = models.BinaryField(null=True)
    status = models.CharField(max_length=10)
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["webhook", "number"], name="one_revision_per_number")]


class Followed(models.Model):
    """How far the governance log was followed: every entry up to this place has its deliveries."""

    index = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()


class Delivery(models.Model):
    """An event that a webhook is owed: of an entry, or a test (no entry). Its identifier is what a receiver sees.

    `asked_by`: who asked for a test, or to be told once more (`repeats`); nobody did for what the log brought.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="deliveries")
    entry = models.ForeignKey(LedgerEntry, null=True, on_delete=models.PROTECT, related_name="+")
    event = models.CharField(max_length=80)
    repeats = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="repeated")
    asked_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "entry", "event"],
                condition=models.Q(asked_by=None),
                name="each_entry_is_delivered_once",
            )
        ]
        indexes = [models.Index(fields=["made_at"], name="delivery_made")]


class DeliveryAttempt(models.Model):
    """What became of one attempt: the status and beginning of the answer, or the error. `due_at`: of the next, if any.

    Without a next one the delivery is over: it arrived (a status of 2xx), or was given up.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True)
    error = models.TextField(blank=True)
    due_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="one_attempt_per_number")]

    @property
    def arrived(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300
