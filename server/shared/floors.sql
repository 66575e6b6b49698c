-- Floors that instances share, where FLUXBASE_SCALING_BACKEND is postgres. Unlogged: a commit waits
-- for no disk and no standby; after a crash or a promotion the tables are empty, all together,
-- which the missing mark tells.
BEGIN;
SELECT pg_catalog.pg_advisory_xact_lock(x'666c757800f1'::int8);
CREATE SCHEMA IF NOT EXISTS fluxshard;
CREATE UNLOGGED TABLE IF NOT EXISTS fluxshard.floor (
    name bytea PRIMARY KEY,
    timeline int4 NOT NULL,
    units int8 NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE UNLOGGED TABLE IF NOT EXISTS fluxshard.floor_memory (
    single bool PRIMARY KEY DEFAULT true CHECK (single),
    mark text NOT NULL
);
INSERT INTO fluxshard.floor_memory (mark) VALUES (pg_catalog.gen_random_uuid()::text)
ON CONFLICT DO NOTHING;
COMMIT;
