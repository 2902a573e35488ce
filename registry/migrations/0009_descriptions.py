"""Descriptions are written anew, an alias says why it was moved, and searches find their rows by index."""

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.fields.json
from django.conf import settings
from django.db import migrations, models

import registry.ids
from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    """After this, what a client says of a model later has a history."""

    dependencies = [
        ("registry", "0008_artifact_checks"),
    ]

    operations = [
        migrations.CreateModel(
            name="Description",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("text", models.TextField(blank=True)),
                ("set_at", models.DateTimeField()),
            ],
        ),
        migrations.AlterModelOptions(
            name="registeredmodel",
            options={
                "permissions": [
                    ("register_version", "Register models, data sets and versions"),
                    ("read", "Read everything"),
                    ("move_alias", "Move the free aliases of anybody's model"),
                ]
            },
        ),
        migrations.AddField(
            model_name="alias",
            name="reason",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddIndex(
            model_name="modelversion",
            index=models.Index(django.db.models.fields.json.KeyTextTransform("run_id", "lineage"), name="version_run"),
        ),
        migrations.AddIndex(
            model_name="registration",
            index=models.Index(fields=["-asked_at"], name="registration_asked"),
        ),
        migrations.AddIndex(
            model_name="registration",
            index=models.Index(fields=["run_id"], name="registration_run"),
        ),
        migrations.AddIndex(
            model_name="tag",
            index=django.contrib.postgres.indexes.HashIndex(fields=["value"], name="tag_value"),
        ),
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(
                condition=models.Q(("registration", None)), fields=["key", "model"], name="tag_of_model"
            ),
        ),
        migrations.AddField(
            model_name="description",
            name="model",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="descriptions", to="registry.registeredmodel"
            ),
        ),
        migrations.AddField(
            model_name="description",
            name="registration",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="descriptions",
                to="registry.registration",
            ),
        ),
        migrations.AddField(
            model_name="description",
            name="set_by",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        AppendOnly("Description"),
    ]
