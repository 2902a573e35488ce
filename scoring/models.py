"""What serves and what was answered. Rows are born complete and never change."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from registry.ids import uuid7
from registry.models import Package, RegisteredModel, User
from registry.models.transaction import CurrentTransaction, InsertingTransaction


class Deployment(models.Model):
    """The serving plan of a model from now on: the newest one counts.

    `request`: the approval request whose signatures allow it (a trigger asks); `order`: who asked for it to happen;
    `warrant`: the signed statement that servers verify before they load anything.
    """

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="deployments")
    package = models.ForeignKey(Package, on_delete=models.PROTECT, related_name="deployments")
    request = models.UUIDField()
    order = models.UUIDField(unique=True)
    warrant = models.TextField()
    made_by = models.ForeignKey(User, on_delete=models.PROTECT)
    made_at = models.DateTimeField()


class Decision(models.Model):
    """One answer, with what it was made from. `inputs` and `answer` are the JSON bytes that the ledger commits to.

    `vector` and `attributions` are float64 in the order of the version's schema. They and `score` are null where the
    package's fallback was answered: all three. `attributions` alone are null where the explanation was deferred: it is
    a row of its own. `xid` puts rows in an order that readers can follow without missing one. The table is partitioned
    by `id`, which is by time (`scoring.partitions`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    xid = InsertingTransaction(db_default=CurrentTransaction(), editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+", db_index=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="decisions", db_index=False)
    request_id = models.CharField(max_length=100, null=True)
    request_digest = models.CharField(max_length=64)
    entity = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()
    score = models.FloatField(null=True)
    band = models.CharField(max_length=40)
    vector = ArrayField(models.FloatField(), null=True)
    attributions = ArrayField(models.FloatField(), null=True)
    inputs = models.BinaryField()
    answer = models.BinaryField()
    inputs_salt = models.BinaryField()
    answer_salt = models.BinaryField()
    said: dict[str, Any] | None = None  # `answer` as it was made or read, so that it is read once

    class Meta:
        permissions = [
            ("score", "Ask for decisions"),
            ("record_outcome", "Record outcomes of decisions"),
            ("override", "Record that a person decided otherwise"),
            ("investigate", "Read reasons in the words for investigators, restricted ones too"),
            ("replay", "Ask that a decision be computed again"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(score__isnull=False, vector__isnull=False)  # attributions may follow
                | Q(score__isnull=True, vector__isnull=True, attributions__isnull=True),
                name="scored_or_fallback",
            ),
        ]
        indexes = [
            models.Index(fields=["deployment", "xid", "id"], name="decision_deployment_order"),
            models.Index(fields=["model", "-at"], name="decision_model_at"),
            models.Index(
                fields=["xid", "id"],
                condition=Q(score__isnull=False, attributions__isnull=True),
                name="decision_explained_later",
            ),
        ]

    @property
    def is_fallback(self) -> bool:
        """Whether the package's fallback was answered, for want of a score."""
        return self.score is None

    @property
    def owes_explanation(self) -> bool:
        """Whether the answer came without its explanation: that is a row of its own, once there is one."""
        return self.score is not None and self.attributions is None


class RequestKey(models.Model):
    """What makes a request one decision, however often it is sent: the client's name for it, and what it asked.

    A table of its own, because the decisions' is partitioned: nothing but `id` can be unique in all of it. One
    statement inserts both, so no foreign key asks for the decision, which would lock every partition each time;
    `verify_records` compares.
    """

    pk = models.CompositePrimaryKey("model", "request_id")
    model = models.ForeignKey(
        RegisteredModel, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    request_id = models.CharField(max_length=100)
    decision = models.ForeignKey(
        Decision, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    request_digest = models.CharField(max_length=64)


class Outcome(models.Model):
    """The truth about a decision, as one source reported it later: 1 when the adverse event happened.

    `deployment` repeats the decision's, so that the outcomes of what serves are found in their order by one index.
    The ledger commits to label, source and moment with `salt` (32 bytes) and says none of them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    xid = InsertingTransaction(db_default=CurrentTransaction(), editable=False)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="outcomes", db_index=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    label = models.PositiveSmallIntegerField()
    source = models.CharField(max_length=60)
    observed_at = models.DateTimeField()
    salt = models.BinaryField()
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["decision", "source", "observed_at"], name="one_outcome_per_source_and_moment"
            ),
            models.CheckConstraint(condition=models.Q(label__in=[0, 1]), name="label_is_0_or_1"),
        ]
        indexes = [models.Index(fields=["deployment", "xid", "id"], name="outcome_deployment_order")]


class Repetition(models.Model):
    """A decision that answered a request_id again, while the database was gone; the one that it repeats counts."""

    decision = models.OneToOneField(Decision, primary_key=True, on_delete=models.PROTECT, related_name="repetition")
    repeats = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="repetitions")
    at = models.DateTimeField()


class Drain(models.Model):
    """A journal was brought on record: so many records, up to this hash of its chain (32 bytes in hexadecimal)."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    journal = models.CharField(max_length=32)
    records = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["journal", "records"], name="each_drain_once")]


class RefusedLoad(models.Model):
    """A server refused to load a deployment, and why: its warrant, digests or bytes did not agree."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="refused_loads")
    reason = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deployment", "reason"], name="each_refusal_once")]


class Environment(models.Model):
    """What decisions are computed with: processor, libraries, code of ours; by the digest that answers name."""

    digest = models.CharField(max_length=64, primary_key=True)
    content = models.JSONField()
    seen_at = models.DateTimeField()


class Explanation(models.Model):
    """The explanation of a decision that was answered without one. `content`: the JSON bytes the ledger commits to."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    xid = InsertingTransaction(db_default=CurrentTransaction(), editable=False)
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="explanation")
    attributions = ArrayField(models.FloatField())
    content = models.BinaryField()
    salt = models.BinaryField()
    at = models.DateTimeField()


class Override(models.Model):
    """A person decided otherwise: who, what is done instead, why; as one source reported it.

    The ledger commits to all of it with `salt` (32 bytes), to the text by its digest, and says nothing of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    xid = InsertingTransaction(db_default=CurrentTransaction(), editable=False)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="overrides", db_index=False)
    action = models.CharField(max_length=200)
    reason_code = models.CharField(max_length=60)
    text = models.TextField(blank=True)
    person = models.CharField(max_length=100)
    source = models.CharField(max_length=60)
    decided_at = models.DateTimeField()
    salt = models.BinaryField()
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["decision", "source", "decided_at"], name="one_override_per_source_and_moment"
            )
        ]


class ReplayRequest(models.Model):
    """Somebody asked that a decision be computed again; a worker does it."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="replay_requests")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT)
    asked_at = models.DateTimeField()


class Replay(models.Model):
    """Decisions that were computed again, and whether every bit came out the same.

    `request`: whom it answers, if it was asked for on a page; `differing`: how many did not; `report`: what and why.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    request = models.OneToOneField(ReplayRequest, null=True, on_delete=models.PROTECT, related_name="replay")
    compared = models.PositiveIntegerField()
    differing = models.PositiveIntegerField()
    report = models.JSONField()
    at = models.DateTimeField()
