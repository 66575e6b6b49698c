-- Decisions of commits on several shards. The row is written by the deciding shard's own part, in
-- its very transaction, so its commit is the decision; or by recovery, which rolls back.
CREATE TABLE IF NOT EXISTS fluxshard.decision (
    transaction text PRIMARY KEY,
    committed boolean NOT NULL,
    participants text[] NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE fluxshard.decision IS 'Fluxshard: outcomes of commits on several shards, kept while somebody may have to know them.';
DO $$
DECLARE
    login text := coalesce(
        nullif(pg_catalog.current_setting('fluxshard.login', true), ''), CURRENT_USER);
BEGIN
    IF login <> CURRENT_USER THEN
        EXECUTE pg_catalog.format(
            'GRANT SELECT, INSERT, DELETE ON fluxshard.decision TO %I', login);
    END IF;
END
$$;
