"""The law of four eyes, laid by governance on its own table and on scoring's.

A signature counts only from a person who holds the role, is neither author nor requester, and signs the digest of
the request. A deployment needs the signatures that its package's policy demands, and nobody's refusal.
"""

from django.db import migrations

SQL = """
CREATE FUNCTION countersign_signature_is_lawful() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE asked record;
BEGIN
    SELECT q.digest, q.requested_by_id, v.registered_by_id INTO asked
    FROM governance_approvalrequest q
    JOIN registry_package p ON p.id = q.package_id
    JOIN registry_modelversion v ON v.id = p.version_id
    WHERE q.id = NEW.request_id;
    IF NEW.digest <> asked.digest THEN
        RAISE EXCEPTION 'signature refused: it is over another digest than the request''s'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.signer_id IN (asked.requested_by_id, asked.registered_by_id) THEN
        RAISE EXCEPTION 'signature refused: the author and the requester cannot sign' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM registry_user_groups m JOIN auth_group g ON g.id = m.group_id
                   WHERE m.user_id = NEW.signer_id AND g.name = NEW.role) THEN
        RAISE EXCEPTION 'signature refused: the signer does not hold the role %', NEW.role
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signature_is_lawful BEFORE INSERT ON governance_signature
    FOR EACH ROW EXECUTE FUNCTION countersign_signature_is_lawful();
ALTER TABLE governance_signature ENABLE ALWAYS TRIGGER signature_is_lawful;

CREATE FUNCTION countersign_deployment_is_signed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE asked record; demand jsonb; have integer;
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
    IF NOT EXISTS (SELECT 1 FROM governance_order o WHERE o.id = NEW."order" AND o.request_id = asked.id) THEN
        RAISE EXCEPTION 'deployment refused: nobody ordered it' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM governance_signature s WHERE s.request_id = asked.id AND s.outcome = 'reject') THEN
        RAISE EXCEPTION 'deployment refused: the request was refused by a signer' USING ERRCODE = 'check_violation';
    END IF;
    IF coalesce(jsonb_array_length(asked.rules -> 'signatures'), 0) = 0 THEN
        RAISE EXCEPTION 'deployment refused: the policy demands no signature at all' USING ERRCODE = 'check_violation';
    END IF;
    FOR demand IN SELECT jsonb_array_elements(asked.rules -> 'signatures') LOOP
        SELECT count(DISTINCT s.signer_id) INTO have FROM governance_signature s
        WHERE s.request_id = asked.id AND s.outcome = 'approve' AND s.role = demand ->> 'role'
          AND s.digest = asked.digest AND s.signer_id NOT IN (asked.requested_by_id, asked.registered_by_id);
        IF coalesce((demand ->> 'count')::integer, 0) < 1 THEN
            RAISE EXCEPTION 'deployment refused: the policy demands nobody of role %', demand ->> 'role'
                USING ERRCODE = 'check_violation';
        END IF;
        IF have < (demand ->> 'count')::integer THEN
            RAISE EXCEPTION 'deployment refused: % of % signatures by role %',
                have, demand ->> 'count', demand ->> 'role' USING ERRCODE = 'check_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER deployment_is_signed BEFORE INSERT ON scoring_deployment
    FOR EACH ROW EXECUTE FUNCTION countersign_deployment_is_signed();
ALTER TABLE scoring_deployment ENABLE ALWAYS TRIGGER deployment_is_signed;
"""
UNDO = """
DROP TRIGGER deployment_is_signed ON scoring_deployment;
DROP FUNCTION countersign_deployment_is_signed();
DROP TRIGGER signature_is_lawful ON governance_signature;
DROP FUNCTION countersign_signature_is_lawful();
"""


class Migration(migrations.Migration):
    """Two triggers, ENABLE ALWAYS."""

    dependencies = [("governance", "0002_append_only"), ("scoring", "0002_append_only")]
    operations = [migrations.RunSQL(SQL, UNDO)]
