"""What is written with every decision pays for no index that only a search of governance entries needs.

Entries about decisions, outcomes and breaches go by the identifier of the row they tell of instead.
"""

import django.contrib.postgres.indexes
from django.db import migrations, models

ENTERED = """
CREATE OR REPLACE FUNCTION countersign_answer_is_entered() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM registry_ledgerentry e JOIN registry_breach b ON b.log = e.log
        WHERE {named} AND e.subject = 'breach:' || NEW.breach_id AND b.id = NEW.breach_id
          AND e.actor = NEW.answered_by AND e.xid = pg_current_xact_id()
          AND e.event = CASE b.kind WHEN 'gap' THEN 'gap.acknowledged' ELSE 'breach.acknowledged' END
    ) THEN
        RAISE EXCEPTION 'answer refused: breach % is not acknowledged in its log by % in this transaction',
            NEW.breach_id, NEW.answered_by USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
_GOVERNANCE = models.Q(("log", "governance"))


class Migration(migrations.Migration):
    """After this, an entry of the log of decisions is in three indexes instead of five."""

    dependencies = [("registry", "0005_answers_are_entered")]

    operations = [
        migrations.RemoveIndex("ledgerentry", "entry_subject"),
        migrations.RemoveIndex("ledgerentry", "entry_event"),
        migrations.AddIndex(
            "ledgerentry", models.Index(condition=_GOVERNANCE, fields=["subject"], name="entry_subject")
        ),
        migrations.AddIndex(
            "ledgerentry",
            models.Index(
                django.contrib.postgres.indexes.OpClass("event", name="varchar_pattern_ops"),
                condition=_GOVERNANCE,
                name="entry_event",
            ),
        ),
        migrations.RunSQL(ENTERED.format(named="e.uuid = NEW.breach_id"), ENTERED.format(named="true")),
    ]
