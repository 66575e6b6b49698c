-- Helper functions for policies, defaults and triggers. They read what each request's transaction
-- was given: the claims, and the tenant that was derived from them. Written as expressions, whose
-- names are resolved here and now, so that no search_path changes their meaning and the planner
-- can put them in line. The comment on the schema says which edition is installed.

CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb;
COMMENT ON FUNCTION auth.jwt() IS 'All claims of the request''s token; an empty object without one.';

CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE
        WHEN auth.jwt() ->> 'sub' ~
             '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'
        THEN (auth.jwt() ->> 'sub')::uuid
    END;
COMMENT ON FUNCTION auth.uid() IS 'The user''s id (claim sub), or null when it is no uuid.';

CREATE OR REPLACE FUNCTION auth.current_user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN auth.uid();
COMMENT ON FUNCTION auth.current_user_id() IS 'The same as auth.uid().';

CREATE OR REPLACE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(auth.jwt() ->> 'role', ''), 'anon');
COMMENT ON FUNCTION auth.role() IS 'The application''s role (claim role); anon without one.';

CREATE OR REPLACE FUNCTION auth.is_authenticated() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN auth.jwt() ->> 'sub' IS NOT NULL AND auth.role() <> 'anon';
COMMENT ON FUNCTION auth.is_authenticated() IS 'Whether a user, not an anonymous key, asks.';

CREATE OR REPLACE FUNCTION auth.is_admin() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN auth.role() IN ('service_role', 'admin', 'dashboard_admin');
COMMENT ON FUNCTION auth.is_admin() IS 'Whether the application''s role administers everything.';

CREATE OR REPLACE FUNCTION auth.tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('fluxshard.tenant', true), '');
COMMENT ON FUNCTION auth.tenant() IS 'The caller''s tenant in canonical text, or null.';

GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION auth.jwt(), auth.uid(), auth.current_user_id(), auth.role(),
    auth.is_authenticated(), auth.is_admin(), auth.tenant() TO anon, authenticated, service_role;

COMMENT ON SCHEMA auth IS 'Fluxshard helper functions, edition 1';
