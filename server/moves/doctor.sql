-- What moves, or their failures, may have left in this database.
SELECT 'publication' AS kind, p.pubname::text AS name, '' AS detail, 0::float8 AS age_s
FROM pg_catalog.pg_publication p WHERE p.pubname LIKE 'fluxshard\_%'
UNION ALL
SELECT 'subscription', s.subname::text, CASE WHEN s.subenabled THEN 'enabled' ELSE 'disabled' END, 0
FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
WHERE d.datname = pg_catalog.current_database() AND s.subname LIKE 'fluxshard\_%'
UNION ALL
SELECT 'slot', r.slot_name::text, CASE WHEN r.active THEN 'active' ELSE 'inactive' END, 0
FROM pg_catalog.pg_replication_slots r
WHERE r.database = pg_catalog.current_database()
    AND (r.slot_name LIKE 'fluxshard\_%' OR (r.slot_name LIKE 'pg\_%\_sync\_%' AND NOT r.active))
UNION ALL
SELECT 'prepared transaction', p.gid, p.owner::text, extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)
FROM pg_catalog.pg_prepared_xacts p
WHERE p.database = pg_catalog.current_database() AND p.prepared < pg_catalog.clock_timestamp() - interval '60 s'
UNION ALL
SELECT 'mover', a.pid::text, a.state, extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change)
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.application_name = 'fluxshard move'
    AND a.state LIKE 'idle in transaction%' AND a.state_change < pg_catalog.clock_timestamp() - interval '10 s'
UNION ALL
SELECT 'fence ' || f.state, f.unit, f.epoch::text, extract(epoch FROM pg_catalog.clock_timestamp() - f.changed_at)
FROM fluxshard.fence f
ORDER BY 1, 2
