"""What follows a decision: later explanations, overrides, replays; and what it was computed with."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.ids
import registry.models.transaction
from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0011_describing"),
        ("scoring", "0005_repetition"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Environment",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("content", models.JSONField()),
                ("seen_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Explanation",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                (
                    "xid",
                    registry.models.transaction.TransactionId(
                        db_default=registry.models.transaction.CurrentTransaction(), editable=False
                    ),
                ),
                ("attributions", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
                ("content", models.BinaryField()),
                ("salt", models.BinaryField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Override",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                (
                    "xid",
                    registry.models.transaction.TransactionId(
                        db_default=registry.models.transaction.CurrentTransaction(), editable=False
                    ),
                ),
                ("action", models.CharField(max_length=200)),
                ("reason_code", models.CharField(max_length=60)),
                ("text", models.TextField(blank=True)),
                ("person", models.CharField(max_length=100)),
                ("source", models.CharField(max_length=60)),
                ("decided_at", models.DateTimeField()),
                ("salt", models.BinaryField()),
                ("recorded_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Replay",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("compared", models.PositiveIntegerField()),
                ("differing", models.PositiveIntegerField()),
                ("report", models.JSONField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ReplayRequest",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("asked_at", models.DateTimeField()),
            ],
        ),
        migrations.AlterModelOptions(
            name="decision",
            options={
                "permissions": [
                    ("score", "Ask for decisions"),
                    ("record_outcome", "Record outcomes of decisions"),
                    ("override", "Record that a person decided otherwise"),
                    ("investigate", "Read reasons in the words for investigators, restricted ones too"),
                    ("replay", "Ask that a decision be computed again"),
                ]
            },
        ),
        migrations.RemoveConstraint(
            model_name="decision",
            name="scored_or_fallback",
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(
                condition=models.Q(("attributions__isnull", True), ("score__isnull", False)),
                fields=["xid", "id"],
                name="decision_explained_later",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("score__isnull", False), ("vector__isnull", False)),
                    models.Q(("attributions__isnull", True), ("score__isnull", True), ("vector__isnull", True)),
                    _connector="OR",
                ),
                name="scored_or_fallback",
            ),
        ),
        migrations.AddField(
            model_name="explanation",
            name="decision",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="explanation", to="scoring.decision"
            ),
        ),
        migrations.AddField(
            model_name="override",
            name="decision",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="overrides",
                to="scoring.decision",
            ),
        ),
        migrations.AddField(
            model_name="override",
            name="recorded_by",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name="replayrequest",
            name="asked_by",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name="replayrequest",
            name="decision",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="replay_requests", to="scoring.decision"
            ),
        ),
        migrations.AddField(
            model_name="replay",
            name="request",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replay",
                to="scoring.replayrequest",
            ),
        ),
        migrations.AddConstraint(
            model_name="override",
            constraint=models.UniqueConstraint(
                fields=("decision", "source", "decided_at"), name="one_override_per_source_and_moment"
            ),
        ),
        AppendOnly("Environment", "Explanation", "Override", "ReplayRequest", "Replay"),
    ]
