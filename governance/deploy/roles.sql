-- The roles of Countersign and what they may do to the database itself. PostgreSQL 15 or newer.
--
-- Run it once, connected to the database of the platform, as superuser (or as a role with CREATEROLE that
-- owns the database):   psql --dbname=countersign --file=roles.sql
-- It may be run again at any time. It sets no password: give each LOGIN role one of its own (\password), or
-- let your authentication do it. Rights on tables are granted by `manage.py setup_platform`.
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

-- What the migrator makes belongs to the owner, whoever logs in as migrator later.
GRANT countersign_owner TO countersign_migrator;
ALTER ROLE countersign_migrator SET role = 'countersign_owner';

-- The owner of the database owns the schema public, in databases made before version 15 too.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO countersign_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO countersign_migrator, countersign_app, countersign_scoring, '
        'countersign_governor, countersign_sequencer', current_database());
END
$$;
ALTER SCHEMA public OWNER TO pg_database_owner;

-- Nobody else may make anything: a table of one's own could shadow a table of the platform.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;
