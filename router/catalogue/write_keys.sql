-- Writes that are safe to repeat: what a request was answered, under the key that its client gave it.
-- The row is written by the request's own transaction, so it is there if and only if the write is.
CREATE TABLE IF NOT EXISTS fluxshard.write_key (
    key bytea PRIMARY KEY,  -- a digest of tenant, user and key
    tenant text,
    target bytea NOT NULL,  -- a digest of method and path
    content bytea NOT NULL,  -- a digest of the body
    answer bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX IF NOT EXISTS write_key_kept_at ON fluxshard.write_key (kept_at);
COMMENT ON TABLE fluxshard.write_key IS 'Fluxshard: answers to requests with an Idempotency-Key, kept for a day.';
DO $$
DECLARE
    login text := coalesce(
        nullif(pg_catalog.current_setting('fluxshard.login', true), ''), CURRENT_USER);
BEGIN
    IF login <> CURRENT_USER THEN
        EXECUTE pg_catalog.format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON fluxshard.write_key TO %I', login);
    END IF;
END
$$;
