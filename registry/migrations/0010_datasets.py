"""What data sets hold, and how long they are to be kept."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.ids
from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0009_descriptions"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="dataset",
            options={"permissions": [("see_restricted", "See what restricted columns of data sets hold")]},
        ),
        migrations.AddField(
            model_name="dataset",
            name="format",
            field=models.CharField(default="parquet", max_length=20),
        ),
        migrations.AddField(
            model_name="dataset",
            name="original",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.CreateModel(
            name="DatasetRetention",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60)),
                ("reason", models.TextField(blank=True)),
                ("set_at", models.DateTimeField()),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="retentions", to="registry.dataset"
                    ),
                ),
                ("set_by", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name="DatasetStatistics",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("code", models.CharField(max_length=20)),
                ("digest", models.CharField(max_length=64)),
                ("content", models.JSONField()),
                ("computed_at", models.DateTimeField()),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="statistics", to="registry.dataset"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("dataset", "code"), name="statistics_once_per_code")],
            },
        ),
        AppendOnly("DatasetStatistics", "DatasetRetention"),
    ]
