"""Who wrote an entry as their how-manieth, in which life of the database, what witnesses signed, what went wrong."""

import django.db.models.deletion
from django.db import migrations, models

import registry.ids
from registry.append_only import AppendOnly

EPOCH = """
ALTER TABLE registry_ledgerentry ADD COLUMN epoch integer NOT NULL DEFAULT 1;
DROP INDEX entry_order;
CREATE INDEX entry_order ON registry_ledgerentry (log, epoch, xid, id);
"""
PLAIN = """
DROP INDEX entry_order;
ALTER TABLE registry_ledgerentry DROP COLUMN epoch;
CREATE INDEX entry_order ON registry_ledgerentry (log, xid, id);
"""


class Migration(migrations.Migration):
    """After this, an omitted entry leaves a gap in its writer's numbers."""

    dependencies = [
        ("registry", "0003_wrong_passwords"),
    ]

    operations = [
        migrations.RunSQL(EPOCH, PLAIN),
        migrations.CreateModel(
            name="Breach",
            fields=[
                ("id", models.UUIDField(default=registry.ids.uuid7, primary_key=True, serialize=False)),
                ("log", models.CharField(max_length=20)),
                ("kind", models.CharField(max_length=20)),
                ("detail", models.TextField()),
                ("facts", models.JSONField(default=dict)),
                ("seen_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Cosignature",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("witness", models.CharField(max_length=200)),
                ("line", models.TextField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Epoch",
            fields=[
                ("number", models.IntegerField(primary_key=True, serialize=False)),
                ("system", models.CharField(max_length=20)),
                ("began_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="leaf",
            name="number",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="leaf",
            name="writer",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddIndex(
            model_name="leaf",
            index=models.Index(fields=["log", "writer", "-number"], name="leaf_writer"),
        ),
        migrations.CreateModel(
            name="BreachAnswer",
            fields=[
                (
                    "breach",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="answer",
                        serialize=False,
                        to="registry.breach",
                    ),
                ),
                ("reason", models.TextField()),
                ("answered_by", models.CharField(max_length=100)),
                ("answered_at", models.DateTimeField()),
            ],
        ),
        migrations.AddConstraint(
            model_name="breach",
            constraint=models.UniqueConstraint(fields=("log", "kind", "detail"), name="each_breach_once"),
        ),
        migrations.AddField(
            model_name="cosignature",
            name="tree",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="cosignatures", to="registry.tree"
            ),
        ),
        migrations.AddConstraint(
            model_name="cosignature",
            constraint=models.UniqueConstraint(fields=("tree", "witness"), name="one_cosignature_per_witness_and_head"),
        ),
        migrations.RunSQL(
            "INSERT INTO registry_epoch (number, system, began_at) "
            "SELECT 1, system_identifier::text, now() FROM pg_control_system()",
            "DELETE FROM registry_epoch",
        ),
        AppendOnly("Breach", "BreachAnswer", "Cosignature", "Epoch"),
    ]
