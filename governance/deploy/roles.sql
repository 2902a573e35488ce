-- The roles of Countersign and what they may do to the database itself. PostgreSQL 15 or newer.
--
-- Run it once, connected to the database of the platform, as superuser (or as a role with CREATEROLE that
-- owns the database):   psql --dbname=countersign --file=roles.sql
-- It may be run again at any time, and takes back what a role was given, or gave itself, since. It sets no password:
-- give each LOGIN role one of its own (\password), or let your authentication do it. Rights on tables are granted by
-- `manage.py setup_platform`.
--
--   countersign_owner      owns the database and all in it; nobody can log in as it
--   countersign_migrator   changes the schema, acting as the owner; used during set-up, never by a server
--   countersign_app        pages, APIs and workers
--   countersign_scoring    the scoring path: reads plans, inserts decisions
--   countersign_governor   executes approved requests: the only one to insert deployments
--   countersign_sequencer  indexes and signs the logs

DO $$
DECLARE
    login text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_owner') THEN
        CREATE ROLE countersign_owner NOLOGIN;
    END IF;
    FOREACH login IN ARRAY ARRAY['migrator', 'app', 'scoring', 'governor', 'sequencer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_' || login) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', 'countersign_' || login);
        END IF;
    END LOOP;
END
$$;

-- Whatever they were given by hand. Each is named only where it must change: not everybody may name every attribute.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT rolname, attribute
        FROM pg_roles, LATERAL (VALUES
            (rolsuper, 'NOSUPERUSER'), (rolcreatedb, 'NOCREATEDB'), (rolcreaterole, 'NOCREATEROLE'),
            (rolreplication, 'NOREPLICATION'), (rolbypassrls, 'NOBYPASSRLS'),
            (rolcanlogin AND rolname = 'countersign_owner', 'NOLOGIN'),
            (rolinherit AND rolname NOT IN ('countersign_owner', 'countersign_migrator'), 'NOINHERIT')
        ) AS held (yes, attribute)
        WHERE yes AND rolname IN ('countersign_owner', 'countersign_migrator', 'countersign_app',
            'countersign_scoring', 'countersign_governor', 'countersign_sequencer')
    LOOP
        EXECUTE format('ALTER ROLE %I %s', found.rolname, found.attribute);
    END LOOP;
    SELECT m.roleid::regrole AS whole, m.member::regrole AS member INTO found
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
    WHERE r.rolname IN ('countersign_owner', 'countersign_app', 'countersign_scoring', 'countersign_governor',
        'countersign_sequencer');
    IF found.member IS NOT NULL THEN
        RAISE EXCEPTION '% is a member of %, and so could act as it. Revoke that: REVOKE % FROM %;',
            found.member, found.whole, found.whole, found.member;
    END IF;
END
$$;

-- A role may set defaults for its own sessions, and nobody can keep it from that: they are made anew here.
DO $$
DECLARE
    login text;
BEGIN
    FOREACH login IN ARRAY ARRAY['migrator', 'app', 'scoring', 'governor', 'sequencer'] LOOP
        EXECUTE format('ALTER ROLE %I RESET ALL', 'countersign_' || login);
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', 'countersign_' || login, current_database());
    END LOOP;
END
$$;

-- What the migrator makes belongs to the owner, whoever logs in as migrator later.
GRANT countersign_owner TO countersign_migrator;
ALTER ROLE countersign_migrator SET role = 'countersign_owner';

-- Entries get their places only below the oldest transaction still running, so nobody may keep one open: who forgets
-- one is cut off. How long one statement may take, each process says itself (governance/settings.py), because pages
-- and workers share a role. The sequencer's standby waits in a transaction for as long as it takes.
ALTER ROLE countersign_app SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE countersign_scoring SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE countersign_governor SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE countersign_sequencer SET idle_in_transaction_session_timeout = '60s';
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        ALTER ROLE countersign_app SET transaction_timeout = '30min';
        ALTER ROLE countersign_scoring SET transaction_timeout = '30s';
        ALTER ROLE countersign_governor SET transaction_timeout = '2min';
    END IF;
END
$$;

-- The owner of the database owns the schema public, in databases made before version 15 too. Nobody else may make
-- anything in the database, not even a temporary table: one of one's own could shadow a table of the platform.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO countersign_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, countersign_app, countersign_scoring, '
        'countersign_governor, countersign_sequencer', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO countersign_migrator, countersign_app, countersign_scoring, '
        'countersign_governor, countersign_sequencer', current_database());
END
$$;
ALTER SCHEMA public OWNER TO pg_database_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;

-- Large objects: a place to keep things that no rule of ours sees. Only a superuser can take these functions back.
DO $$
DECLARE
    found regprocedure;
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        FOR found IN
            SELECT oid FROM pg_proc
            WHERE pronamespace = 'pg_catalog'::regnamespace AND (proname ~ '^lo_' OR proname IN ('loread', 'lowrite'))
        LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found);
        END LOOP;
    END IF;
END
$$;
