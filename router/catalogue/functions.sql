-- The functions of all schemas but information_schema, one row for each schema and name: what the
-- worst of that name is. $1 names the setting by which an owner calls a function safe for tenants.
--
-- Left out: functions that no statement can call, because they take or give what only PostgreSQL's
-- own code can hold. A function is "known" when nothing but its arguments decides what it gives:
-- built in, or immutable and written in C or by an extension, or declared safe by its owner, or ours
-- to make ids (ids.sql).
SELECT n.nspname::text AS schema,
       p.proname::text AS name,
       pg_catalog.bool_or(p.provolatile = 'v') AS volatile,
       pg_catalog.bool_and(p.provolatile = 'i') AS immutable,
       pg_catalog.bool_and(
           p.oid < 16384 AND n.nspname = 'pg_catalog'
           OR p.provolatile = 'i' AND (
               l.lanname IN ('c', 'internal') OR EXISTS (
                   SELECT FROM pg_catalog.pg_depend AS d
                   WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                     AND d.objid = p.oid AND d.deptype = 'e'))
           OR n.nspname = 'fluxshard' AND p.proname IN ('next_id', 'next_js_id', 'away')
           OR coalesce(p.proconfig && ARRAY[$1 || '=on', $1 || '=true', $1 || '=1'], false)
       ) AS known,
       pg_catalog.bool_or(p.pronargs - p.pronargdefaults <= 1 AND EXISTS (
           SELECT FROM pg_catalog.pg_type AS t
           WHERE t.oid = p.proargtypes[0] AND t.typtype NOT IN ('b', 'e', 'r', 'm')
       )) AS of_row
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('information_schema', 'pg_toast')
  AND p.prorettype NOT IN (
      'pg_catalog.internal'::pg_catalog.regtype, 'pg_catalog.trigger'::pg_catalog.regtype,
      'pg_catalog.event_trigger'::pg_catalog.regtype, 'pg_catalog.cstring'::pg_catalog.regtype)
  AND NOT p.proargtypes::pg_catalog.oid[] && ARRAY[
      'pg_catalog.internal'::pg_catalog.regtype, 'pg_catalog.cstring'::pg_catalog.regtype
  ]::pg_catalog.oid[]
GROUP BY n.nspname, p.proname
ORDER BY n.nspname, p.proname
