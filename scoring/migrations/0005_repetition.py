"""What was drained from journals, and the decisions that answered a request_id again while the database was gone."""

import django.db.models.deletion
from django.db import migrations, models

import registry.ids
from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("scoring", "0004_partitions"), ("registry", "0002_append_only")]
    operations = [
        migrations.CreateModel(
            name="Repetition",
            fields=[
                (
                    "decision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="repetition",
                        serialize=False,
                        to="scoring.decision",
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "repeats",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="repetitions",
                        to="scoring.decision",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Drain",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("journal", models.CharField(max_length=32)),
                ("records", models.BigIntegerField()),
                ("hash", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("journal", "records"), name="each_drain_once")],
            },
        ),
        AppendOnly("Repetition", "Drain"),
    ]
