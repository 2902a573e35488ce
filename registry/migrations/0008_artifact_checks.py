"""What the scrubber found of each stored file, and when."""

from django.db import migrations, models

from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    """After this, every verdict on a stored file is kept."""

    dependencies = [("registry", "0007_registrations")]
    operations = [
        migrations.CreateModel(
            name="ArtifactCheck",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=64)),
                ("verdict", models.CharField(max_length=12)),
                ("checked_at", models.DateTimeField()),
            ],
            options={"indexes": [models.Index(fields=["digest", "-id"], name="artifact_checked")]},
        ),
        AppendOnly("ArtifactCheck"),
    ]
