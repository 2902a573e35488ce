"""Make the registry write-once, and give entries what only the database may say about them."""

from django.db import migrations

from registry.append_only import AppendOnly

ENTRIES = """
ALTER TABLE registry_ledgerentry
    ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ADD COLUMN inserted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN leaf bytea NOT NULL GENERATED ALWAYS AS (sha256('\\x00'::bytea || bytes)) STORED,
    ADD CONSTRAINT entry_of_at_most_4_kib CHECK (octet_length(bytes) BETWEEN 1 AND 4096);
CREATE INDEX entry_order ON registry_ledgerentry (log, xid, id);
"""
PLAIN = """
DROP INDEX entry_order;
ALTER TABLE registry_ledgerentry DROP COLUMN xid, DROP COLUMN inserted_at, DROP COLUMN leaf,
    DROP CONSTRAINT entry_of_at_most_4_kib;
"""


class Migration(migrations.Migration):
    """After this, a row of these tables is for ever."""

    dependencies = [("registry", "0001_initial")]
    operations = [
        migrations.RunSQL(ENTRIES, PLAIN),
        AppendOnly(
            "RegisteredModel",
            "Dataset",
            "ModelVersion",
            "Tag",
            "Alias",
            "Policy",
            "Package",
            "ServiceToken",
            "TokenRevocation",
            "LedgerEntry",
            "Leaf",
            "Tile",
            "Tree",
            "Checkpoint",
        ),
    ]
