"""Make the tables of monitoring write-once."""

from django.db import migrations

from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    """After this, a row of these tables is for ever."""

    dependencies = [("monitoring", "0001_initial"), ("registry", "0002_append_only")]
    operations = [AppendOnly("CheckRun", "CheckAttempt", "CheckResult", "MonitorRun", "Alert", "Disposition")]
