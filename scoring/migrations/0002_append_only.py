"""Make the tables of scoring write-once."""

from django.db import migrations

from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    """After this, a row of these tables is for ever."""

    dependencies = [("scoring", "0001_initial"), ("registry", "0002_append_only")]
    operations = [AppendOnly("Deployment", "Decision", "Outcome", "RefusedLoad")]
