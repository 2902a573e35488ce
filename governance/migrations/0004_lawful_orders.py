"""What the law of four eyes left open: who is inactive, whose role nobody asked for, who may order, what is void.

A signature and an order are judged when they are given, a deployment when it is made, all by what the tables say: the
workflow's rules in Python say the same first and in more words. Three functions with a fixed search path, so that no
table of somebody's own is taken for one of ours. Going back to what served before needs no new signatures.
"""

from django.db import migrations

SQL = """
-- The policy in force for a version's model, its newest request, and whether the evidence still is what a request
-- binds: RFC 8785 of {check: digest of its result}, names in the order of their code points, both plain ASCII.
CREATE FUNCTION countersign_void(asked uuid) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE
        WHEN EXISTS (
            SELECT 1 FROM governance_approvalrequest n JOIN registry_package k ON k.id = n.package_id
            WHERE k.version_id = p.version_id AND (n.requested_at, n.id) > (q.requested_at, q.id)
        ) THEN 'a newer request about this version voids it'
        WHEN l.tier <> m.tier OR EXISTS (SELECT 1 FROM registry_policy n WHERE n.tier = m.tier AND n.number > l.number)
        THEN 'its policy is not the one in force'
        WHEN q.evidence <> (
            SELECT encode(sha256(convert_to('{' || coalesce(string_agg(
                to_json(r.check_name)::text || ':' || to_json(s.digest)::text, ',' ORDER BY r.check_name COLLATE "C"
            ), '') || '}', 'UTF8')), 'hex')
            FROM monitoring_checkrun r JOIN monitoring_checkresult s ON s.run_id = r.id
            WHERE r.version_id = p.version_id AND r.policy_id = p.policy_id
        ) THEN 'the evidence changed since'
    END
    FROM governance_approvalrequest q
    JOIN registry_package p ON p.id = q.package_id
    JOIN registry_modelversion v ON v.id = p.version_id
    JOIN registry_registeredmodel m ON m.id = v.model_id
    JOIN registry_policy l ON l.id = p.policy_id
    WHERE q.id = asked
$$;

CREATE OR REPLACE FUNCTION countersign_signature_is_lawful() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE asked record; void text;
BEGIN
    SELECT q.id, q.digest, q.requested_by_id, v.registered_by_id, l.rules INTO asked
    FROM governance_approvalrequest q
    JOIN registry_package p ON p.id = q.package_id
    JOIN registry_modelversion v ON v.id = p.version_id
    JOIN registry_policy l ON l.id = p.policy_id
    WHERE q.id = NEW.request_id;
    IF asked.id IS NULL THEN
        RAISE EXCEPTION 'signature refused: there is no such request' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.digest <> asked.digest THEN
        RAISE EXCEPTION 'signature refused: it is over another digest than the request''s'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.signer_id IN (asked.requested_by_id, asked.registered_by_id) THEN
        RAISE EXCEPTION 'signature refused: the author and the requester cannot sign' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM registry_user_groups m JOIN auth_group g ON g.id = m.group_id
                   JOIN registry_user u ON u.id = m.user_id
                   WHERE u.id = NEW.signer_id AND u.is_active AND g.name = NEW.role) THEN
        RAISE EXCEPTION 'signature refused: the signer does not hold the role %, or is no longer active', NEW.role
            USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM jsonb_array_elements(asked.rules -> 'signatures') d WHERE d ->> 'role' = NEW.role) THEN
        RAISE EXCEPTION 'signature refused: the policy demands none of role %', NEW.role
            USING ERRCODE = 'check_violation';
    END IF;
    void := countersign_void(asked.id);
    IF void IS NOT NULL THEN
        RAISE EXCEPTION 'signature refused: %', void USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION countersign_order_is_lawful() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM registry_user u
        JOIN registry_user_groups m ON m.user_id = u.id
        JOIN auth_group_permissions h ON h.group_id = m.group_id
        JOIN auth_permission p ON p.id = h.permission_id
        JOIN django_content_type c ON c.id = p.content_type_id
        WHERE u.id = NEW.ordered_by_id AND u.is_active AND c.app_label = 'governance' AND p.codename = 'promote'
    ) THEN
        RAISE EXCEPTION 'order refused: who orders holds no role that may, or is no longer active'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind NOT IN ('promote', 'roll back') THEN
        RAISE EXCEPTION 'order refused: % is neither to promote nor to roll back', NEW.kind
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER order_is_lawful BEFORE INSERT ON governance_order
    FOR EACH ROW EXECUTE FUNCTION countersign_order_is_lawful();
ALTER TABLE governance_order ENABLE ALWAYS TRIGGER order_is_lawful;

-- Django lets a superuser do everything, whatever their roles. Nobody here is one.
ALTER TABLE registry_user ADD CONSTRAINT nobody_is_above_the_roles CHECK (NOT is_superuser);

CREATE OR REPLACE FUNCTION countersign_deployment_is_signed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE asked record; ordered record; demand record; have integer; void text;
BEGIN
    SELECT q.id, q.digest, q.package_id, q.requested_by_id, v.registered_by_id, v.model_id, l.rules INTO asked
    FROM governance_approvalrequest q
    JOIN registry_package p ON p.id = q.package_id
    JOIN registry_modelversion v ON v.id = p.version_id
    JOIN registry_policy l ON l.id = p.policy_id
    WHERE q.id = NEW.request;
    IF asked.id IS NULL OR asked.package_id <> NEW.package_id OR asked.model_id <> NEW.model_id THEN
        RAISE EXCEPTION 'deployment refused: no request for this package of this model'
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT o.kind, o.ordered_by_id INTO ordered FROM governance_order o
    WHERE o.id = NEW."order" AND o.request_id = asked.id
      AND NOT EXISTS (SELECT 1 FROM governance_orderrefusal r WHERE r.order_id = o.id);
    IF ordered.kind IS NULL OR ordered.ordered_by_id <> NEW.made_by_id THEN
        RAISE EXCEPTION 'deployment refused: nobody ordered it' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM governance_signature s WHERE s.request_id = asked.id AND s.outcome = 'reject') THEN
        RAISE EXCEPTION 'deployment refused: the request was refused by a signer' USING ERRCODE = 'check_violation';
    END IF;
    IF coalesce(jsonb_array_length(asked.rules -> 'signatures'), 0) = 0 THEN
        RAISE EXCEPTION 'deployment refused: the policy demands no signature at all' USING ERRCODE = 'check_violation';
    END IF;
    FOR demand IN
        SELECT d ->> 'role' AS role, sum((d ->> 'count')::integer) AS count,
               bool_and(coalesce((d ->> 'count')::integer, 0) >= 1) AS somebody
        FROM jsonb_array_elements(asked.rules -> 'signatures') d GROUP BY 1
    LOOP
        SELECT count(DISTINCT s.signer_id) INTO have FROM governance_signature s
        WHERE s.request_id = asked.id AND s.outcome = 'approve' AND s.role = demand.role
          AND s.digest = asked.digest AND s.signer_id NOT IN (asked.requested_by_id, asked.registered_by_id);
        IF NOT demand.somebody THEN
            RAISE EXCEPTION 'deployment refused: the policy demands nobody of role %', demand.role
                USING ERRCODE = 'check_violation';
        END IF;
        IF have < demand.count THEN
            RAISE EXCEPTION 'deployment refused: % of % signatures by role %', have, demand.count, demand.role
                USING ERRCODE = 'check_violation';
        END IF;
    END LOOP;
    IF ordered.kind = 'roll back' THEN
        IF NOT EXISTS (SELECT 1 FROM scoring_deployment d WHERE d.request = asked.id) THEN
            RAISE EXCEPTION 'deployment refused: it never served, so there is nothing to go back to'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.made_by_id IN (asked.requested_by_id, asked.registered_by_id) THEN
        RAISE EXCEPTION 'deployment refused: the author and the requester cannot order it'
            USING ERRCODE = 'check_violation';
    END IF;
    void := countersign_void(asked.id);
    IF void IS NOT NULL THEN
        RAISE EXCEPTION 'deployment refused: %', void USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM scoring_deployment d WHERE d.request = asked.id) THEN
        RAISE EXCEPTION 'deployment refused: the request was executed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
# The stricter functions stay until 0003 takes them away with their triggers.
UNDO = """
ALTER TABLE registry_user DROP CONSTRAINT nobody_is_above_the_roles;
DROP TRIGGER order_is_lawful ON governance_order;
DROP FUNCTION countersign_order_is_lawful();
"""


class Migration(migrations.Migration):
    """One trigger more, ENABLE ALWAYS, two that ask more, and no superusers."""

    dependencies = [
        ("governance", "0003_signatures"),
        ("monitoring", "0002_append_only"),
        ("registry", "0002_append_only"),
    ]
    operations = [migrations.RunSQL(SQL, UNDO)]
