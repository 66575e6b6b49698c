-- Fences: which units of the map have their home here, as the moves of tenants left it. A write
-- enters its unit before it runs, in its own transaction; a mover changes the fence while nobody is
-- inside. So a router with an old map is refused by the shard itself.
--
-- Who is inside holds a shared advisory lock of the unit until the end of the transaction, also of a
-- prepared one. set_fence() takes the exclusive one, and so waits for those inside. Writes that may
-- touch several tenants hold the lock of all units ('*'), which a mover takes as well for a cutover.

CREATE TABLE IF NOT EXISTS fluxshard.fence (
    unit text PRIMARY KEY,  -- slot:<number> or pin:<tenant>
    epoch bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'held', 'gone', 'arriving')),
    moved_to text,
    lease bigint NOT NULL DEFAULT 0,  -- of the mover that wrote it last
    tenants text[],  -- whose rows are here and not at home, while it is gone or arriving
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE fluxshard.fence IS 'Fluxshard: units of the map that moved here, or away; written by movers only.';

CREATE TABLE IF NOT EXISTS fluxshard.fence_version (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version bigint NOT NULL
);
COMMENT ON TABLE fluxshard.fence_version IS 'Fluxshard: grows with every change of a fence.';
INSERT INTO fluxshard.fence_version (version) VALUES (0) ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION fluxshard.raise_fence_version() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE fluxshard.fence_version SET version = version + 1;
    RETURN NULL;
END
$$;
-- A lease of -1 is enter()'s question whether there is a row, which it takes back at once.
CREATE OR REPLACE TRIGGER raise_version_by_new AFTER INSERT ON fluxshard.fence
    FOR EACH ROW WHEN (NEW.lease >= 0) EXECUTE FUNCTION fluxshard.raise_fence_version();
CREATE OR REPLACE TRIGGER raise_version AFTER UPDATE OR DELETE ON fluxshard.fence
    FOR EACH ROW EXECUTE FUNCTION fluxshard.raise_fence_version();
CREATE OR REPLACE TRIGGER raise_version_by_all AFTER TRUNCATE ON fluxshard.fence
    FOR EACH STATEMENT EXECUTE FUNCTION fluxshard.raise_fence_version();

CREATE OR REPLACE FUNCTION fluxshard.unit_lock(of_unit text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.hashtextextended('fluxshard unit ' OPERATOR(pg_catalog.||) of_unit, 0)
$$;
COMMENT ON FUNCTION fluxshard.unit_lock(text) IS 'The advisory lock of a unit, and of all (''*'').';

CREATE OR REPLACE FUNCTION fluxshard.refuse_entry(fence fluxshard.fence) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = CASE fence.state WHEN 'held' THEN 'FX002' ELSE 'FX001' END,
        MESSAGE = CASE fence.state
            WHEN 'held' THEN format('unit %s is held while its home changes', fence.unit)
            WHEN 'open' THEN format('unit %s is at epoch %s here', fence.unit, fence.epoch)
            ELSE format('unit %s is not at home here', fence.unit) END,
        DETAIL = json_build_object('unit', fence.unit, 'epoch', fence.epoch, 'state', fence.state,
            'moved_to', fence.moved_to, 'lease', fence.lease)::text;
END
$$;

-- The shared lock of a unit. Whoever changes its fence holds it for milliseconds; after a quarter of a
-- second the writer is told to come again, so that it does not occupy a connection meanwhile.
CREATE OR REPLACE FUNCTION fluxshard.share_unit(of_unit text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before constant text := current_setting('lock_timeout');
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(fluxshard.unit_lock(of_unit)) THEN
        PERFORM set_config('lock_timeout', '250', true);
        PERFORM pg_advisory_xact_lock_shared(fluxshard.unit_lock(of_unit));
        PERFORM set_config('lock_timeout', before, true);
    END IF;
EXCEPTION WHEN lock_not_available THEN
    RAISE SQLSTATE 'FX002' USING MESSAGE = format('the fence of unit %s is being changed', of_unit);
END
$$;

-- Lock and look are statements of their own, so that the look sees what the lock waited for. Above
-- READ COMMITTED every statement has the snapshot of the transaction's first one: there the row is
-- locked, which fails with 40001 if it is not the newest; and that there is none is proved by making
-- one, which fails with 40001 if there is one by now. It is taken back at once.
CREATE OR REPLACE FUNCTION fluxshard.enter(of_unit text, at_epoch bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present fluxshard.fence;
    fixed constant boolean :=
        current_setting('transaction_isolation') IN ('repeatable read', 'serializable');
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(fluxshard.unit_lock(of_unit)) THEN
        PERFORM fluxshard.share_unit(of_unit);
    END IF;
    IF fixed THEN
        SELECT * INTO present FROM fluxshard.fence AS f WHERE f.unit = of_unit FOR SHARE;
    ELSE
        SELECT * INTO present FROM fluxshard.fence AS f WHERE f.unit = of_unit;
    END IF;
    IF FOUND THEN
        IF present.state <> 'open' OR present.epoch <> at_epoch THEN
            PERFORM fluxshard.refuse_entry(present);
        END IF;
    ELSIF fixed THEN
        BEGIN
            INSERT INTO fluxshard.fence (unit, epoch, state, lease)
            VALUES (of_unit, at_epoch, 'open', -1) ON CONFLICT DO NOTHING;
            RAISE SQLSTATE 'FX000';
        EXCEPTION WHEN SQLSTATE 'FX000' THEN
            NULL;
        END;
    END IF;
    PERFORM set_config('fluxshard.entered', 'on', true);
END
$$;
COMMENT ON FUNCTION fluxshard.enter(text, bigint) IS
    'Fluxshard fences, edition 2: lets a writer of the unit in until its transaction ends, or refuses it.';

CREATE OR REPLACE FUNCTION fluxshard.enter_all(at_version bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present bigint;
    held fluxshard.fence;
BEGIN
    PERFORM fluxshard.share_unit('*');
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        SELECT v.version INTO present FROM fluxshard.fence_version AS v FOR SHARE;
    ELSE
        SELECT v.version INTO present FROM fluxshard.fence_version AS v;
    END IF;
    IF present IS DISTINCT FROM at_version THEN
        RAISE SQLSTATE 'FX001' USING
            MESSAGE = format('the fences of this shard are at version %s', present),
            DETAIL = json_build_object('version', present)::text;
    END IF;
    SELECT * INTO held FROM fluxshard.fence AS f WHERE f.state = 'held' LIMIT 1;
    IF FOUND THEN
        PERFORM fluxshard.refuse_entry(held);
    END IF;
    PERFORM set_config('fluxshard.entered', 'on', true);
END
$$;
COMMENT ON FUNCTION fluxshard.enter_all(bigint) IS
    'Lets in a writer that may touch any tenant here, if it knows the fences as they are.';

-- For movers, in their own transaction. Waits for those inside (set lock_timeout), and refuses a
-- mover whose lease another one has taken over.
CREATE OR REPLACE FUNCTION fluxshard.set_fence(
    of_unit text, new_epoch bigint, new_state text, new_home text, by_lease bigint, whose text[]
) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM fluxshard.claim_fence(of_unit, by_lease);
    INSERT INTO fluxshard.fence AS f (unit, epoch, state, moved_to, lease, tenants)
    VALUES (of_unit, new_epoch, new_state, new_home, by_lease, whose)
    ON CONFLICT (unit) DO UPDATE SET epoch = excluded.epoch, state = excluded.state,
        moved_to = excluded.moved_to, lease = excluded.lease, tenants = excluded.tenants,
        changed_at = now();
END
$$;

CREATE OR REPLACE FUNCTION fluxshard.drop_fence(of_unit text, by_lease bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM fluxshard.claim_fence(of_unit, by_lease);
    DELETE FROM fluxshard.fence AS f WHERE f.unit = of_unit;
END
$$;

CREATE OR REPLACE FUNCTION fluxshard.claim_fence(of_unit text, by_lease bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present fluxshard.fence;
BEGIN
    IF of_unit !~ '^(slot:[0-9]+|pin:.*)$' OR by_lease < 0 THEN
        RAISE invalid_parameter_value USING MESSAGE =
            format('%s with lease %s is no fence', quote_nullable(of_unit), by_lease);
    END IF;
    PERFORM pg_advisory_xact_lock(fluxshard.unit_lock(of_unit));
    SELECT * INTO present FROM fluxshard.fence AS f WHERE f.unit = of_unit FOR UPDATE;
    IF present.lease > by_lease THEN
        RAISE SQLSTATE 'FX003' USING
            MESSAGE = format('the fence of %s belongs to lease %s', of_unit, present.lease),
            DETAIL = json_build_object('unit', of_unit, 'epoch', present.epoch,
                'state', present.state, 'moved_to', present.moved_to, 'lease', present.lease)::text;
    END IF;
END
$$;

-- Optional, for tables that somebody writes past Fluxshard: a trigger BEFORE INSERT OR UPDATE OR
-- DELETE FOR EACH ROW with the tenant's column as its argument. Sessions that did not enter may not
-- write rows of tenants that are on the move, or have left. Rows that replication applies pass.
CREATE OR REPLACE FUNCTION fluxshard.guard() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fence fluxshard.fence;
BEGIN
    IF current_setting('fluxshard.entered', true) IS DISTINCT FROM 'on' THEN
        PERFORM fluxshard.share_unit('*');
        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
            PERFORM FROM fluxshard.fence_version AS v FOR SHARE;
        END IF;
        SELECT * INTO fence FROM fluxshard.fence AS f
        WHERE f.state <> 'open' AND f.tenants && ARRAY[
            CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) ->> TG_ARGV[0] END,
            CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ->> TG_ARGV[0] END]
        LIMIT 1;
        IF FOUND THEN
            PERFORM fluxshard.refuse_entry(fence);
        END IF;
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
COMMENT ON FUNCTION fluxshard.guard() IS
    'A trigger that keeps writers which did not enter away from tenants on the move.';

-- For statements about all tenants, which leave out rows of those that are not at home here. Stable,
-- so it sees the fences in the snapshot that the rows are seen in. `versions` are those of all shards
-- that the router knows: they are one picture, in which each tenant has one home.
CREATE OR REPLACE FUNCTION fluxshard.away(versions jsonb) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present bigint;
    found text[];
BEGIN
    SELECT v.version INTO present FROM fluxshard.fence_version AS v;
    IF present IS DISTINCT FROM (
        SELECT (versions ->> i.shard_id)::bigint FROM fluxshard.identity AS i)
    THEN
        RAISE SQLSTATE 'FX001' USING
            MESSAGE = format('the fences of this shard are at version %s', present),
            DETAIL = json_build_object('version', present)::text;
    END IF;
    SELECT coalesce(array_agg(t.tenant), '{}') INTO found
    FROM fluxshard.fence AS f CROSS JOIN LATERAL unnest(f.tenants) AS t(tenant)
    WHERE f.state IN ('gone', 'arriving');
    RETURN found;
END
$$;

DO $$
DECLARE
    login text := coalesce(
        nullif(pg_catalog.current_setting('fluxshard.login', true), ''), CURRENT_USER);
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['raise_fence_version()', 'unit_lock(text)',
        'refuse_entry(fluxshard.fence)', 'share_unit(text)', 'away(jsonb)', 'enter(text, bigint)', 'enter_all(bigint)',
        'set_fence(text, bigint, text, text, bigint, text[])', 'drop_fence(text, bigint)',
        'claim_fence(text, bigint)', 'guard()']
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION fluxshard.%s FROM PUBLIC', owned);
        IF login <> CURRENT_USER THEN  -- by hand: nothing may run with the rights of a superuser
            EXECUTE pg_catalog.format('ALTER FUNCTION fluxshard.%s OWNER TO %I', owned, login);
        END IF;
    END LOOP;
    GRANT USAGE ON SCHEMA fluxshard TO service_role;
    GRANT EXECUTE ON FUNCTION fluxshard.away(jsonb) TO service_role;
    IF login <> CURRENT_USER THEN
        EXECUTE pg_catalog.format('ALTER TABLE fluxshard.fence OWNER TO %I', login);
        EXECUTE pg_catalog.format('ALTER TABLE fluxshard.fence_version OWNER TO %I', login);
    END IF;
END
$$;
