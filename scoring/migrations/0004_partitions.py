"""Partition decisions by month, and keep request ids, which make a request one decision, in a table of their own."""

import django.db.models.deletion
from django.db import migrations, models

from registry.append_only import TRIGGER, AppendOnly

# The first identifier (UUIDv7, RFC 9562: 48 bits of milliseconds come first) of a moment in UTC, without a zone.
FIRST_ID = """
CREATE FUNCTION countersign_first_id(moment timestamp) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog AS $$
    SELECT rpad(lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$
"""
# Whether a partition other than the default one takes an identifier.
PLACED = r"""
CREATE FUNCTION countersign_placed(id uuid) RETURNS boolean LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog AS $$
    SELECT EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, LATERAL regexp_match(
            pg_get_expr(c.relpartbound, c.oid), 'FROM \((?:MINVALUE|''(.*)'')\) TO \(''(.*)''\)') AS bound
        WHERE i.inhparent = 'public.scoring_decision'::regclass
            AND $1 < bound[2]::uuid AND (bound[1] IS NULL OR $1 >= bound[1]::uuid)
    )
$$
"""
# Guards a partition against whoever names it instead of the whole table: nobody but its owner gets at it.
GUARD = """
CREATE FUNCTION countersign_guard_partition(part regclass) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION countersign_append_only()', part);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', part);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', part);
END
$$
"""
# Makes the partitions of this month and of the three to come. A month of which the default partition already holds a
# decision stays there: nothing that is written ever moves. A table is attached, not made in place, because that locks
# out no decision.
MAKE = """
CREATE FUNCTION countersign_make_partitions() RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    month timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
    first uuid;
    ending uuid;
    part text;
    made int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('countersign_make_partitions'));
    FOR ahead IN 0..3 LOOP
        first := countersign_first_id(month);
        ending := countersign_first_id(month + interval '1 month');
        IF NOT countersign_placed(first)
            AND NOT EXISTS (SELECT FROM scoring_decision_default WHERE id >= first AND id < ending)
        THEN
            part := 'scoring_decision_' || to_char(month, 'YYYY_MM');
            EXECUTE format('CREATE TABLE %I (LIKE scoring_decision INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
            PERFORM countersign_guard_partition(part::regclass);
            EXECUTE format('ALTER TABLE scoring_decision ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                part, first, ending);
            made := made + 1;
        END IF;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END
$$
"""
REVOKE = """
REVOKE ALL ON FUNCTION countersign_first_id(timestamp), countersign_placed(uuid),
    countersign_guard_partition(regclass), countersign_make_partitions() FROM PUBLIC
"""
# The table of before becomes the first partition with every row as it is: it takes what is older, and this month's.
PARTITION = """
DO $$
DECLARE
    found record;
    own text[] := '{}';
    others text[] := '{}';
    ending timestamp;
    first text;
BEGIN
    LOCK TABLE scoring_decision, scoring_outcome IN ACCESS EXCLUSIVE MODE;
    SELECT date_trunc('month', max(moment)) + interval '1 month' INTO ending FROM (
        SELECT clock_timestamp() AT TIME ZONE 'UTC' AS moment UNION ALL
        (SELECT to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'UTC'
            FROM scoring_decision ORDER BY id DESC LIMIT 1)
    ) AS moments;
    FOR found IN
        SELECT conrelid::regclass AS referring, conname, pg_get_constraintdef(oid) AS said FROM pg_constraint
        WHERE contype = 'f' AND 'scoring_decision'::regclass IN (conrelid, confrelid)
    LOOP
        IF found.referring = 'scoring_decision'::regclass THEN
            own := own || format('ADD CONSTRAINT %I %s', found.conname, found.said);
        ELSE
            others := others ||
                format('ALTER TABLE %s ADD CONSTRAINT %I %s', found.referring, found.conname, found.said);
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.referring, found.conname);
        END IF;
    END LOOP;
    first := 'scoring_decision_before_' || to_char(ending, 'YYYY_MM');
    EXECUTE format('ALTER TABLE scoring_decision RENAME TO %I', first);
    FOR found IN
        SELECT relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = first::regclass
    LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', found.relname, left(found.relname, 50) || '_before');
    END LOOP;
    EXECUTE format('DROP TRIGGER append_only ON %I', first);
    PERFORM countersign_guard_partition(first::regclass);
    EXECUTE format('CREATE TABLE scoring_decision (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS, '
        'CONSTRAINT scoring_decision_pkey PRIMARY KEY (id)) PARTITION BY RANGE (id)', first);
    CREATE INDEX decision_deployment_order ON scoring_decision (deployment_id, xid, id);
    CREATE INDEX decision_model_at ON scoring_decision (model_id, at DESC);
    EXECUTE 'ALTER TABLE scoring_decision ' || array_to_string(own, ', ');
    EXECUTE format('ALTER TABLE scoring_decision ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)',
        first, countersign_first_id(ending));
    CREATE TABLE scoring_decision_default PARTITION OF scoring_decision DEFAULT;
    PERFORM countersign_guard_partition('scoring_decision_default');
    FOREACH first IN ARRAY others LOOP
        EXECUTE first;
    END LOOP;
END
$$
"""
KEYS = """
INSERT INTO scoring_requestkey (model_id, request_id, decision_id, request_digest)
SELECT model_id, request_id, id, request_digest FROM scoring_decision WHERE request_id IS NOT NULL
"""
GUARDED = [
    TRIGGER.format(table="scoring_decision"),
    "ALTER TABLE scoring_decision ENABLE ALWAYS TRIGGER append_only",
    "SELECT countersign_make_partitions()",
]


def run(*statements: str) -> migrations.RunSQL:
    """Send each as it is: without parameters, a % in it is one."""
    return migrations.RunSQL([(statement, None) for statement in statements])


class Migration(migrations.Migration):
    """No row is moved or changed; what was decided keeps its identifier, and its transaction."""

    dependencies = [("registry", "0011_describing"), ("scoring", "0003_fallbacks")]
    operations = [
        migrations.RemoveConstraint("decision", "one_decision_per_request_id"),
        run(FIRST_ID, PLACED, GUARD, MAKE, REVOKE, PARTITION, *GUARDED),
        migrations.CreateModel(
            "RequestKey",
            [
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "model", "request_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("request_id", models.CharField(max_length=100)),
                ("request_digest", models.CharField(max_length=64)),
                (
                    "decision",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="scoring.decision",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.registeredmodel",
                    ),
                ),
            ],
        ),
        run(KEYS),
        AppendOnly("RequestKey"),
    ]
