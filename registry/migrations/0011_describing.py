"""The inventory of models, and what their authors say of them."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import registry.ids
from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    """Two more tables whose rows are for ever."""

    dependencies = [
        ("registry", "0010_datasets"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="registeredmodel",
            options={
                "permissions": [
                    ("register_version", "Register models, data sets and versions"),
                    ("read", "Read everything"),
                    ("move_alias", "Move the free aliases of anybody's model"),
                    ("describe_model", "Write inventory and model cards of one's own models"),
                    ("keep_inventory", "Write inventory and model cards of every model"),
                ]
            },
        ),
        migrations.CreateModel(
            name="InventoryRecord",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("developer", models.CharField(blank=True, max_length=120)),
                ("validator", models.CharField(blank=True, max_length=120)),
                ("business_purpose", models.TextField(blank=True)),
                ("is_model", models.BooleanField(null=True)),
                ("is_model_reason", models.TextField(blank=True)),
                ("origin", models.CharField(blank=True, max_length=10)),
                ("vendor", models.CharField(blank=True, max_length=120)),
                ("dependencies", models.JSONField()),
                ("jurisdictions", models.JSONField()),
                ("ai_act_class", models.CharField(blank=True, max_length=40)),
                ("ai_act_reason", models.TextField(blank=True)),
                ("regulations_as_of", models.DateField()),
                ("next_review", models.DateField(null=True)),
                ("recorded_at", models.DateTimeField()),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="inventory_records",
                        to="registry.registeredmodel",
                    ),
                ),
                (
                    "recorded_by",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["model", "-id"], name="inventory_newest")],
            },
        ),
        migrations.CreateModel(
            name="Prose",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("intended_use", models.TextField(blank=True)),
                ("limits", models.TextField(blank=True)),
                ("out_of_scope", models.TextField(blank=True)),
                ("ethics", models.TextField(blank=True)),
                ("written_at", models.DateTimeField()),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="prose", to="registry.modelversion"
                    ),
                ),
                (
                    "written_by",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "verbose_name_plural": "prose",
                "indexes": [models.Index(fields=["version", "-id"], name="prose_newest")],
            },
        ),
        AppendOnly("InventoryRecord", "Prose"),
    ]
