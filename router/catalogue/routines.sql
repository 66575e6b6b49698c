-- The functions of the schemas in $1 (text[]) that clients may call by name, one row each, with
-- their arguments and what they give as JSON. Procedures, aggregates and triggers are none of them.
--
-- Types are spelled as in introspection.sql. "columns" are those of the rows that a function gives:
-- of a table or composite type, or the OUT arguments if there is more than one; none: one value.
WITH
routines AS (
    SELECT p.*, n.nspname
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY ($1) AND p.prokind = 'f' AND p.prorettype NOT IN (
        'pg_catalog.internal'::pg_catalog.regtype, 'pg_catalog.trigger'::pg_catalog.regtype,
        'pg_catalog.event_trigger'::pg_catalog.regtype, 'pg_catalog.cstring'::pg_catalog.regtype)
),
arguments AS (
    SELECT routines.oid AS routine, a.position, a.name, a.type, coalesce(a.mode, 'i') AS mode
    FROM routines CROSS JOIN LATERAL ROWS FROM (
        pg_catalog.unnest(
            coalesce(routines.proallargtypes, routines.proargtypes::pg_catalog.oid[])),
        pg_catalog.unnest(routines.proargnames),
        pg_catalog.unnest(routines.proargmodes)
    ) WITH ORDINALITY AS a(type, name, mode, position)
    WHERE a.type IS NOT NULL
),
types AS (
    SELECT t.oid, t.typcategory, t.typtype, t.typrelid,
           t.typcategory = 'A' AND t.typelem <> 0 AS is_array,
           CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN e.typname ELSE t.typname END AS bare,
           CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN en.nspname ELSE n.nspname END AS owner
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem
    LEFT JOIN pg_catalog.pg_namespace AS en ON en.oid = e.typnamespace
),
spelled AS (
    SELECT types.*,
           CASE
               WHEN owner <> 'pg_catalog' THEN
                   '"' || pg_catalog.replace(owner, '"', '""') || '"."'
                   || pg_catalog.replace(bare, '"', '""') || '"'
               WHEN bare IN ('bit', 'char') THEN '"' || bare || '"'
               ELSE bare
           END || CASE WHEN is_array THEN '[]' ELSE '' END AS name
    FROM types
)
SELECT routines.nspname::text AS schema,
       routines.proname::text AS name,
       routines.provolatile = 'v' AS volatile,
       routines.proretset AS set_of,
       routines.prorows = 1 AS one_row,
       routines.provariadic <> 0 AS variadic,
       routines.pronargdefaults::int AS defaults,
       returned.bare = 'void' AND returned.owner = 'pg_catalog' AS void,
       returned.name AS type,
       returned.typcategory::text AS category,
       rn.nspname::text AS of_schema,
       rc.relname::text AS of_relation,
       coalesce((
           SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
               'name', coalesce(arguments.name, ''), 'type', spelled.name,
               'category', spelled.typcategory) ORDER BY arguments.position)
           FROM arguments JOIN spelled ON spelled.oid = arguments.type
           WHERE arguments.routine = routines.oid AND arguments.mode IN ('i', 'b', 'v')
       ), '[]')::text AS arguments,
       coalesce(
           (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
                'name', a.attname, 'type', spelled.name, 'category', spelled.typcategory
                ) ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute AS a JOIN spelled ON spelled.oid = a.atttypid
            WHERE a.attrelid = returned.typrelid AND returned.typrelid <> 0
              AND a.attnum > 0 AND NOT a.attisdropped),
           (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
                'name', coalesce(arguments.name, ''), 'type', spelled.name,
                'category', spelled.typcategory) ORDER BY arguments.position)
            FROM arguments JOIN spelled ON spelled.oid = arguments.type
            WHERE arguments.routine = routines.oid AND arguments.mode IN ('o', 'b', 't')
            HAVING pg_catalog.count(*) > 1
               OR pg_catalog.bool_or(arguments.mode = 't')),
           '[]')::text AS columns
FROM routines
JOIN spelled AS returned ON returned.oid = routines.prorettype
LEFT JOIN pg_catalog.pg_class AS rc ON rc.oid = returned.typrelid AND rc.relkind IN ('r', 'p', 'v', 'm', 'f')
LEFT JOIN pg_catalog.pg_namespace AS rn ON rn.oid = rc.relnamespace
ORDER BY routines.nspname, routines.proname, routines.oid
