-- What one endpoint says of itself. Runs on primaries and replicas, several times a second.
-- Columns that the login role may not see are null, and then count as unknown.
WITH prepared AS MATERIALIZED (
    SELECT gid, extract(epoch FROM pg_catalog.clock_timestamp() - prepared)::float8 AS age_s
    FROM pg_catalog.pg_prepared_xact()
    WHERE gid LIKE 'fluxshard:%' AND dbid = (
        SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
)
SELECT
    recovering,
    CASE WHEN recovering THEN pg_catalog.pg_last_wal_replay_lsn()
         ELSE pg_catalog.pg_current_wal_flush_lsn() END AS lsn,
    -- A replica's timeline: what it receives, and what its control file has noted. The latter two
    -- lag behind, and never run ahead.
    CASE WHEN recovering THEN greatest(
             (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),
             (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
             (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()))
         ELSE ('x' || pg_catalog.substr(
             pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8)
         )::bit(32)::int4 END AS timeline,
    CASE WHEN NOT recovering THEN NULL
         WHEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), '0/0') <=
              pg_catalog.pg_last_wal_replay_lsn() THEN 0
         ELSE extract(epoch FROM pg_catalog.clock_timestamp()
                                 - pg_catalog.pg_last_xact_replay_timestamp())
         END::float8 AS replayed_s,
    CASE WHEN NOT recovering THEN pg_catalog.current_setting('synchronous_standby_names')
         END AS synchronous_standby_names,
    CASE WHEN NOT recovering THEN ARRAY(
             SELECT coalesce(sync_state, '?') FROM pg_catalog.pg_stat_replication ORDER BY pid)
         END AS sync_states,
    CASE WHEN NOT recovering THEN ARRAY(
             SELECT flush_lsn FROM pg_catalog.pg_stat_replication ORDER BY pid)
         END AS flush_lsns,
    extract(epoch FROM pg_catalog.pg_postmaster_start_time())::float8 AS started,
    -- Transactions on several shards that are prepared here: recovery ends what is left of them.
    CASE WHEN NOT recovering THEN ARRAY(SELECT gid FROM prepared ORDER BY gid) END AS prepared_names,
    CASE WHEN NOT recovering THEN ARRAY(SELECT age_s FROM prepared ORDER BY gid) END AS prepared_ages
FROM (SELECT pg_catalog.pg_is_in_recovery() AS recovering) AS now
