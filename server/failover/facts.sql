-- What one server says of itself, before and during a failover. Settings that the login may not see
-- are null.
SELECT
    recovering,
    (SELECT system_identifier FROM pg_catalog.pg_control_system()) AS system,
    CASE WHEN recovering THEN greatest(
             (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),
             (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
             (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()))
         ELSE ('x' || pg_catalog.substr(
             pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8)
         )::bit(32)::int4 END AS timeline,
    CASE WHEN recovering THEN greatest(
             pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
         ELSE pg_catalog.pg_current_wal_flush_lsn() END AS lsn,
    CASE WHEN recovering THEN pg_catalog.pg_last_wal_replay_lsn()
         ELSE pg_catalog.pg_current_wal_flush_lsn() END AS replayed,
    EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming') AS receiving,
    pg_catalog.current_setting('synchronous_standby_names') AS synchronous,
    (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'primary_conninfo') AS conninfo,
    (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'primary_slot_name') AS slot,
    (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory') AS directory,
    (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER) AS superuser,
    pg_catalog.has_function_privilege('pg_catalog.pg_promote(bool, int4)', 'EXECUTE') AS may_promote
FROM (SELECT pg_catalog.pg_is_in_recovery() AS recovering) AS now
