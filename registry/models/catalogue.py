"""What is registered: models, versions, data sets, policies, packages. Rows are born complete and never change."""

from uuid import UUID

from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT

from registry.ids import uuid7
from registry.models.people import User


class RegisteredModel(models.Model):
    """A model: what it is for, who owns it, how much depends on it. Its risk tier is computed from the last two."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    purpose = models.CharField(max_length=40)
    exposure = models.CharField(max_length=40)
    tier = models.PositiveSmallIntegerField()
    owner = models.ForeignKey(User, on_delete=models.PROTECT)
    created_at = models.DateTimeField()

    class Meta:
        permissions = [
            ("register_version", "Register models, data sets and versions"),
            ("read", "Read everything"),
            ("move_alias", "Move the free aliases of anybody's model"),
            ("describe_model", "Write inventory and model cards of one's own models"),
            ("keep_inventory", "Write inventory and model cards of every model"),
        ]

    def __str__(self) -> str:
        return self.name


class Dataset(models.Model):
    """A snapshot of data, as Parquet, known by its digest. `columns`: name, kind, role, nullable, categories.

    `format`: of the file it came as; `original`: the digest of that file, where it was not these very bytes.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    digest = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    rows = models.PositiveBigIntegerField()
    columns = models.JSONField()
    format = models.CharField(max_length=20, default="parquet")
    original = models.CharField(max_length=64, blank=True, default="")
    registered_by = models.ForeignKey(User, on_delete=models.PROTECT)
    registered_at = models.DateTimeField()

    class Meta:
        permissions = [("see_restricted", "See what restricted columns of data sets hold")]

    def named(self, role: str) -> list[str]:
        """Return the names of the columns that play a role (feature, label, time, entity, protected, …)."""
        return [column["name"] for column in self.columns if column["role"] == role]


class Registration(models.Model):
    """A numbered version as somebody asked for it: where its bytes are said to be, and what was said about them.

    It is pinned later, as a ModelVersion, or refused; until either, it waits. `logged_model`: what the tracking server
    calls the model (`m-…`); `tags`: as asked, key → value.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="registrations")
    number = models.PositiveIntegerField()
    source = models.TextField(blank=True)
    run_id = models.CharField(max_length=64, blank=True)
    logged_model = models.CharField(max_length=64, blank=True)
    run_link = models.TextField(blank=True)
    description = models.TextField(blank=True)
    tags = models.JSONField()
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT)
    asked_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="one_registration_per_number")]
        indexes = [
            models.Index(fields=["-asked_at"], name="registration_asked"),
            models.Index(fields=["run_id"], name="registration_run"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"


class IntakeAttempt(models.Model):
    """A worker began to fetch the files of a registration; how it ended is told by the version or the refusal."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    registration = models.ForeignKey(Registration, on_delete=models.PROTECT, related_name="attempts")
    started_at = models.DateTimeField()


class IntakeFile(models.Model):
    """A file of a registration that is in the store already: an interrupted intake does not fetch it again.

    `mark`: what changes with its bytes at the source, by the source's own word.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    registration = models.ForeignKey(Registration, on_delete=models.PROTECT, related_name="files")
    path = models.TextField()
    mark = models.TextField()
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    stored_at = models.DateTimeField()


class RegistrationRefusal(models.Model):
    """Why a registration has no bytes: `failed` when they were found and are not accepted, else `unverified`."""

    registration = models.OneToOneField(
        Registration, primary_key=True, on_delete=models.PROTECT, related_name="refusal"
    )
    kind = models.CharField(max_length=12)
    reason = models.TextField()
    refused_at = models.DateTimeField()


class ModelVersion(models.Model):
    """One immutable set of bytes of a model, with where it came from: a registration that was pinned, under its id.

    `artifact`: path → {sha256, size}; `digest`: SHA-256 of the canonical manifest, the version's identity.
    `unservable`: why this version can be registered but not served (empty: it can). Model and number repeat the
    registration's; the database holds them equal.
    """

    registration = models.OneToOneField(
        Registration, primary_key=True, db_column="id", on_delete=models.PROTECT, related_name="version"
    )
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    artifact = models.JSONField()
    flavour = models.CharField(max_length=40)
    schema = models.JSONField()
    unservable = models.TextField(blank=True)
    lineage = models.JSONField()
    metrics = models.JSONField()
    description = models.TextField(blank=True)
    training = models.ForeignKey(Dataset, null=True, on_delete=models.PROTECT, related_name="+")
    reference = models.ForeignKey(Dataset, null=True, on_delete=models.PROTECT, related_name="+")
    holdout = models.ForeignKey(Dataset, null=True, on_delete=models.PROTECT, related_name="+")
    golden = models.ForeignKey(Dataset, null=True, on_delete=models.PROTECT, related_name="+")
    registered_by = models.ForeignKey(User, on_delete=models.PROTECT)
    registered_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="one_version_per_number")]
        indexes = [models.Index(KT("lineage__run_id"), name="version_run")]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"

    @property
    def id(self) -> UUID:
        """The identifier that the version shares with its registration."""
        return self.registration_id


class ArtifactCheck(models.Model):
    """What a stored file was when it was hashed again: sound, missing or changed. The newest row of a digest counts."""

    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=64)
    verdict = models.CharField(max_length=12)
    checked_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["digest", "-id"], name="artifact_checked")]


class Tag(models.Model):
    """A tag set on a model or on one of its numbers; the newest row of a key is its value, the others its history."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="tags")
    registration = models.ForeignKey(Registration, null=True, on_delete=models.PROTECT, related_name="tag_rows")
    key = models.CharField(max_length=250)
    value = models.TextField(null=True)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT)
    set_at = models.DateTimeField()

    class Meta:
        indexes = [
            HashIndex(fields=["value"], name="tag_value"),  # a value may be too long for a tree
            models.Index(fields=["key", "model"], condition=Q(registration=None), name="tag_of_model"),
        ]


class Alias(models.Model):
    """A free alias of a model; the newest row of a name says what it points to, null: to nothing any more.

    `reason`: why it was moved, empty where a client of MLflow's moved it, which cannot say.
    """

    id = models.UUIDField(primary_key=True, default=uuid7)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases")
    name = models.CharField(max_length=250)
    registration = models.ForeignKey(Registration, null=True, on_delete=models.PROTECT, related_name="aliases")
    reason = models.TextField(blank=True, default="")
    set_by = models.ForeignKey(User, on_delete=models.PROTECT)
    set_at = models.DateTimeField()


class Description(models.Model):
    """What somebody wrote later about a model or one of its numbers; the newest counts, then what came with it."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="descriptions")
    registration = models.ForeignKey(Registration, null=True, on_delete=models.PROTECT, related_name="descriptions")
    text = models.TextField(blank=True)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT)
    set_at = models.DateTimeField()


class Policy(models.Model):
    """The rules for a risk tier: required checks and limits, who must sign, monitors. The newest is in force."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    tier = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField()
    rules = models.JSONField()
    digest = models.CharField(max_length=64, unique=True)
    adopted_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT)
    adopted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tier", "number"], name="one_policy_per_tier_and_number")]

    def __str__(self) -> str:
        return f"tier {self.tier} policy {self.number}"


class Package(models.Model):
    """What is approved as one unit: version, decision bands, reason map, fallback, and the policy it is judged by."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="packages")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+")
    bands = models.JSONField()
    reasons = models.JSONField()
    fallback = models.JSONField()
    digest = models.CharField(max_length=64, unique=True)
    assembled_by = models.ForeignKey(User, on_delete=models.PROTECT)
    assembled_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(digest=""), name="package_has_a_digest")]
