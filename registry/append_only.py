"""AppendOnly, the migration operation that makes a table write-once for everybody, its owner included.

The trigger is ENABLE ALWAYS, so that `session_replication_role` does not silence it, and no session variable
unlocks it. A superuser can still drop it: that is what the Merkle log detects.
"""

from typing import Any

from django.db.migrations.operations.base import Operation, OperationCategory

FUNCTION = """
CREATE OR REPLACE FUNCTION countersign_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: rows of this table are never changed. Record a new row instead.',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""
TRIGGER = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{table}"
FOR EACH STATEMENT EXECUTE FUNCTION countersign_append_only()
"""


class AppendOnly(Operation):
    """Refuse UPDATE, DELETE and TRUNCATE on the tables of these models."""

    category = OperationCategory.SQL
    reversible = True

    def __init__(self, *models: str) -> None:
        self.models = models

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Let Django write this operation into squashed migrations."""
        return self.__class__.__name__, list(self.models), {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing in Django's own picture of the schema."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Lay the triggers. `params=None`, or the % in the SQL would be read as a parameter."""
        schema_editor.execute(FUNCTION, params=None)
        for name in self.models:
            table = to_state.apps.get_model(app_label, name)._meta.db_table
            schema_editor.execute(TRIGGER.format(table=table), params=None)
            schema_editor.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER append_only', params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Take the triggers away."""
        for name in self.models:
            table = from_state.apps.get_model(app_label, name)._meta.db_table
            schema_editor.execute(f'DROP TRIGGER IF EXISTS append_only ON "{table}"', params=None)

    def describe(self) -> str:
        """Say what the operation does, for `showmigrations`."""
        return f"Make {', '.join(self.models)} append-only"
