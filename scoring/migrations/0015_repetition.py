"""Decisions that answered a request_id again while the database was gone."""

import django.db.models.deletion
from django.db import migrations, models

from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("scoring", "0013_partitions"), ("registry", "0002_append_only")]
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
        AppendOnly("Repetition"),
    ]
