-- Ids that no other shard makes, so that rows never clash when a tenant moves. All ids of a shard,
-- in whatever session, only grow: the place in time is the clock's or one after the last, whichever
-- is later, so a clock that is set back, or a burst, makes ids that run ahead of it.
--
-- next_id(): 41 bits of milliseconds since 2026-01-01 UTC (until September 2095), 10 bits of the
-- shard's number, 12 bits that count within the millisecond.
-- next_js_id(): the same in 53 bits, exact in a JavaScript number: 38 bits of steps of 8 ms (until
-- September 2095), 8 bits of the shard's number, 7 bits that count within the step.
--
-- The sequences hold the last place in time with its count. Who advances one holds a lock. It is
-- taken in a subtransaction that always fails, which gives it back at once, however the statement
-- ends; sequences keep their values. A row or a lock of the transaction would make all writers of
-- a shard wait for each other's commits.

CREATE SEQUENCE IF NOT EXISTS fluxshard.ids AS bigint MINVALUE 0;
COMMENT ON SEQUENCE fluxshard.ids IS 'Places in time of fluxshard.next_id(); never set it back.';
CREATE SEQUENCE IF NOT EXISTS fluxshard.js_ids AS bigint MINVALUE 0;
COMMENT ON SEQUENCE fluxshard.js_ids IS
    'Places in time of fluxshard.next_js_id(); never set it back.';

CREATE OR REPLACE FUNCTION fluxshard.next_id() RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    number constant bigint := fluxshard.shard_number();
    unused text;
    earliest bigint;
    place bigint;
BEGIN
    BEGIN
        unused := pg_advisory_xact_lock(112616013299718);  -- 0x666C_7578_0006
        earliest := (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
                     - 1767225600000) << 12;
        place := pg_sequence_last_value('fluxshard.ids');
        IF place >= earliest THEN
            place := nextval('fluxshard.ids');
        ELSE
            place := setval('fluxshard.ids', earliest);
        END IF;
        RAISE SQLSTATE 'FX000';
    EXCEPTION WHEN SQLSTATE 'FX000' THEN
        NULL;
    END;
    IF place >> 53 <> 0 THEN
        RAISE program_limit_exceeded USING MESSAGE = 'fluxshard.next_id() has no ids after 2095';
    END IF;
    RETURN ((place >> 12) << 22) | (number << 12) | (place & 4095);
END
$$;
COMMENT ON FUNCTION fluxshard.next_id() IS
    'Fluxshard ids, edition 1: an id of 63 bits that no other call on any shard gives, in order of time.';

CREATE OR REPLACE FUNCTION fluxshard.next_js_id() RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    number constant bigint := fluxshard.shard_number();
    unused text;
    earliest bigint;
    place bigint;
BEGIN
    IF number > 255 THEN
        RAISE program_limit_exceeded USING MESSAGE =
            format('shard number %s does not fit the ids of fluxshard.next_js_id()', number),
            HINT = 'Shards with numbers above 255 can use fluxshard.next_id().';
    END IF;
    BEGIN
        unused := pg_advisory_xact_lock(112616013299719);  -- 0x666C_7578_0007
        earliest := (floor(extract(epoch FROM clock_timestamp()) * 125)::bigint
                     - 220903200000) << 7;
        place := pg_sequence_last_value('fluxshard.js_ids');
        IF place >= earliest THEN
            place := nextval('fluxshard.js_ids');
        ELSE
            place := setval('fluxshard.js_ids', earliest);
        END IF;
        RAISE SQLSTATE 'FX000';
    EXCEPTION WHEN SQLSTATE 'FX000' THEN
        NULL;
    END;
    IF place >> 45 <> 0 THEN
        RAISE program_limit_exceeded USING MESSAGE = 'fluxshard.next_js_id() has no ids after 2095';
    END IF;
    RETURN ((place >> 7) << 15) | (number << 7) | (place & 127);
END
$$;
COMMENT ON FUNCTION fluxshard.next_js_id() IS
    'An id of 53 bits that no other call on any shard gives, in order of time.';

REVOKE ALL ON FUNCTION fluxshard.next_id(), fluxshard.next_js_id() FROM PUBLIC;
GRANT USAGE ON SCHEMA fluxshard TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION fluxshard.next_id(), fluxshard.next_js_id()
    TO authenticated, service_role;

DO $$
DECLARE
    login text := coalesce(
        nullif(pg_catalog.current_setting('fluxshard.login', true), ''), CURRENT_USER);
    owned text;
BEGIN
    IF login <> CURRENT_USER THEN  -- by hand: nothing may run with the rights of a superuser
        FOREACH owned IN ARRAY ARRAY['FUNCTION fluxshard.next_id()', 'FUNCTION fluxshard.next_js_id()',
            'SEQUENCE fluxshard.ids', 'SEQUENCE fluxshard.js_ids']
        LOOP
            EXECUTE pg_catalog.format('ALTER %s OWNER TO %I', owned, login);
        END LOOP;
    END IF;
END
$$;
