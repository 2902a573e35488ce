"""The rows behind the append-only log: entries, their places in the tree, tiles, tree heads, checkpoints."""

from django.contrib.postgres.indexes import OpClass
from django.db import models

from registry.ids import uuid7

_GOVERNANCE = models.Q(log="governance")


class LedgerEntry(models.Model):
    """One entry: `bytes` are hashed as they are and never rebuilt. Inserted unsequenced, in the caller's transaction.

    What only the database knows is in the migrations: `xid`, the inserting transaction; `epoch`, the life of the
    database it happened in; `leaf`, the hash computed by the database itself; `inserted_at`; and that an entry has at
    most 4 KiB. `event`, `subject` and `actor` repeat what `bytes` say; `verify_ledger` compares them.

    Governance entries are searched by subject and event. Those of decisions, of which there are many, go by the
    identifier of the row they tell of, and pay for no other index.
    """

    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid7, unique=True)
    log = models.CharField(max_length=20)
    event = models.CharField(max_length=60)
    subject = models.CharField(max_length=100)
    actor = models.CharField(max_length=100)
    at = models.DateTimeField()
    bytes = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["subject"], name="entry_subject", condition=_GOVERNANCE),
            models.Index(  # by the event's beginning
                OpClass("event", name="varchar_pattern_ops"), name="entry_event", condition=_GOVERNANCE
            ),
        ]


class Leaf(models.Model):
    """The place of an entry in its log, with the writer and the number that the entry says it has of that writer."""

    id = models.BigAutoField(primary_key=True)
    log = models.CharField(max_length=20)
    index = models.BigIntegerField()
    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="leaf_row")
    writer = models.CharField(max_length=40, blank=True)
    number = models.BigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["log", "index"], name="one_entry_per_index")]
        indexes = [models.Index(fields=["log", "writer", "-number"], name="leaf_writer")]


class Tile(models.Model):
    """A complete tile: 256 hashes of one level and the root over them (a hash of the next level)."""

    id = models.BigAutoField(primary_key=True)
    log = models.CharField(max_length=20)
    level = models.PositiveSmallIntegerField()
    number = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["log", "level", "number"], name="one_tile_per_place")]


class Tree(models.Model):
    """One head of a log. A head grows from exactly one other, so that a fork cannot even be represented."""

    id = models.BigAutoField(primary_key=True)
    log = models.CharField(max_length=20)
    size = models.BigIntegerField()
    previous = models.BigIntegerField()
    root = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["log", "size"], name="one_head_per_size"),
            models.UniqueConstraint(fields=["log", "previous"], name="one_successor_per_head"),
            models.CheckConstraint(condition=models.Q(previous__lt=models.F("size")), name="heads_only_grow"),
        ]


class Checkpoint(models.Model):
    """A signed head, as published; `note` is the log's own, to which the witnesses' lines are added."""

    tree = models.OneToOneField(Tree, primary_key=True, on_delete=models.PROTECT, related_name="checkpoint")
    note = models.TextField()
    signed_at = models.DateTimeField()

    @property
    def cosigned(self) -> str:
        """The note with the lines of those who cosigned it, in the order they came."""
        return self.note + "".join(self.tree.cosignatures.order_by("id").values_list("line", flat=True))


class Cosignature(models.Model):
    """A witness's line under a checkpoint: at `at` it had seen this head extend every earlier one it was shown."""

    id = models.BigAutoField(primary_key=True)
    tree = models.ForeignKey(Tree, on_delete=models.PROTECT, related_name="cosignatures")
    witness = models.CharField(max_length=200)
    line = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tree", "witness"], name="one_cosignature_per_witness_and_head")]


class Epoch(models.Model):
    """One life of the database: transactions are numbered anew when it is restored into another cluster."""

    number = models.IntegerField(primary_key=True)
    system = models.CharField(max_length=20)
    began_at = models.DateTimeField()


class Breach(models.Model):
    """Something that must not happen to a log, happened: seen by the sequencer, kept until a person answers it."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    log = models.CharField(max_length=20)
    kind = models.CharField(max_length=20)
    detail = models.TextField()
    facts = models.JSONField(default=dict)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["log", "kind", "detail"], name="each_breach_once")]


class BreachAnswer(models.Model):
    """Who looked into a breach and what came of it; only then is it no alarm any more."""

    breach = models.OneToOneField(Breach, primary_key=True, on_delete=models.PROTECT, related_name="answer")
    reason = models.TextField()
    answered_by = models.CharField(max_length=100)
    answered_at = models.DateTimeField()
