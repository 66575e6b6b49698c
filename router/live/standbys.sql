-- The physical standbys that are connected to this primary, and from where. What the login role may
-- not see (it lacks pg_monitor) has no state.
SELECT r.application_name, pg_catalog.host(r.client_addr) AS client_address,
       r.state IS NULL AS hidden
FROM pg_catalog.pg_stat_replication AS r
WHERE coalesce(r.state, 'streaming') IN ('streaming', 'catchup')
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_replication_slots AS s
      WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
ORDER BY r.pid
