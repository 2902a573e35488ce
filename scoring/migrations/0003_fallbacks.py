"""Let a decision be the package's fallback: without score, vector and attributions, all three."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Nothing that was answered so far changes."""

    dependencies = [("registry", "0003_wrong_passwords"), ("scoring", "0002_append_only")]
    operations = [
        migrations.AlterField("decision", "attributions", ArrayField(models.FloatField(), null=True)),
        migrations.AlterField("decision", "score", models.FloatField(null=True)),
        migrations.AlterField("decision", "vector", ArrayField(models.FloatField(), null=True)),
        migrations.AddConstraint(
            "decision",
            models.CheckConstraint(
                condition=Q(score__isnull=False, vector__isnull=False, attributions__isnull=False)
                | Q(score__isnull=True, vector__isnull=True, attributions__isnull=True),
                name="scored_or_fallback",
            ),
        ),
    ]
