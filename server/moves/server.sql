-- What a server allows that takes part in a move.
SELECT
    pg_catalog.current_setting('server_version_num')::int AS version,
    pg_catalog.current_setting('wal_level') AS wal_level,
    pg_catalog.current_setting('max_replication_slots')::int
        - (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int AS free_slots,
    pg_catalog.current_setting('max_wal_senders')::int
        - (SELECT count(*) FROM pg_catalog.pg_stat_replication)::int AS free_senders,
    pg_catalog.current_setting('max_logical_replication_workers')::int
        - (SELECT count(*) FROM pg_catalog.pg_stat_subscription WHERE pid IS NOT NULL)::int AS free_workers,
    (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER) AS superuser,
    (SELECT r.rolreplication FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER) AS may_replicate,
    (SELECT coalesce(bool_or(pg_catalog.pg_has_role(r.oid, 'USAGE')), false) FROM pg_catalog.pg_roles r
        WHERE r.rolname = 'pg_create_subscription') AS may_subscribe,
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_publish,
    (SELECT coalesce(pg_catalog.json_agg(p.gid), '[]') FROM pg_catalog.pg_prepared_xacts p
        WHERE p.database = pg_catalog.current_database() AND p.prepared < now() - interval '10 s')::text AS prepared
