-- What Fluxshard needs in a database: roles, schemas and grants. auth.sql comes between the two
-- blocks. Safe to run again at any time; changes only what is missing. Run as the login role. By
-- hand, as a superuser: SET fluxshard.login = 'the_login_role' first.
--
-- The names of the exposed schemas are in the setting fluxshard.exposed, as a JSON array.

DO $$
DECLARE
    wanted record;
    login text := coalesce(
        nullif(pg_catalog.current_setting('fluxshard.login', true), ''), CURRENT_USER);
    may text := CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000
                THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    -- Roles belong to the whole server: another database's bootstrap may be making them right now.
    FOR wanted IN
        SELECT * FROM (VALUES ('anon', false), ('authenticated', false), ('service_role', true))
            AS roles(name, sees_all)
    LOOP
        IF pg_catalog.to_regrole(wanted.name) IS NULL THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN NOINHERIT%s',
                    wanted.name, CASE WHEN wanted.sees_all THEN ' BYPASSRLS' ELSE '' END);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT pg_catalog.pg_has_role(login, wanted.name, may) THEN
            EXECUTE pg_catalog.format('GRANT %I TO %I', wanted.name, login);
        END IF;
    END LOOP;
    IF NOT (SELECT rolbypassrls OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'service_role')
    THEN
        ALTER ROLE service_role BYPASSRLS;
    END IF;
    IF pg_catalog.to_regnamespace('fluxshard') IS NULL THEN
        CREATE SCHEMA fluxshard;
    END IF;
    IF pg_catalog.to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
    END IF;
    IF login <> CURRENT_USER THEN  -- by hand: the login role keeps its own tables there
        EXECUTE pg_catalog.format('GRANT USAGE, CREATE ON SCHEMA fluxshard TO %I', login);
        EXECUTE pg_catalog.format('GRANT CREATE ON DATABASE %I TO %I',
            pg_catalog.current_database(), login);
    END IF;
END
$$;
