"""Make the tables of governance write-once."""

from django.db import migrations

from registry.append_only import AppendOnly


class Migration(migrations.Migration):
    """After this, a row of these tables is for ever."""

    dependencies = [("governance", "0001_initial"), ("registry", "0002_append_only")]
    operations = [AppendOnly("ApprovalRequest", "Signature", "Order", "OrderRefusal", "Case", "CaseResult", "Dossier")]
