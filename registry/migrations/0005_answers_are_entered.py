"""A breach is answered in its log, not beside it: the database refuses an answer that was not entered with it."""

from django.db import migrations

ENTERED = """
CREATE FUNCTION countersign_answer_is_entered() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM registry_ledgerentry e JOIN registry_breach b ON b.log = e.log
        WHERE e.subject = 'breach:' || NEW.breach_id AND b.id = NEW.breach_id AND e.actor = NEW.answered_by
          AND e.event = CASE b.kind WHEN 'gap' THEN 'gap.acknowledged' ELSE 'breach.acknowledged' END
          AND e.xid = pg_current_xact_id()
    ) THEN
        RAISE EXCEPTION 'answer refused: breach % is not acknowledged in its log by % in this transaction',
            NEW.breach_id, NEW.answered_by USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER answer_is_entered BEFORE INSERT ON registry_breachanswer
    FOR EACH ROW EXECUTE FUNCTION countersign_answer_is_entered();
ALTER TABLE registry_breachanswer ENABLE ALWAYS TRIGGER answer_is_entered;
"""
UNASKED = """
DROP TRIGGER answer_is_entered ON registry_breachanswer;
DROP FUNCTION countersign_answer_is_entered();
"""


class Migration(migrations.Migration):
    """After this, nobody silences an alarm without an entry that says who did."""

    dependencies = [("registry", "0004_published_log")]
    operations = [migrations.RunSQL(ENTERED, UNASKED)]
