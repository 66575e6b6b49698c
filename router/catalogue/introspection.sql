-- The tables and views of the schemas in $1 (text[]), and what these views are made of in other
-- schemas, one row each, columns as a JSON array.
--
-- Names are as stored. Types are base types without modifiers, spelled so that a cast to them
-- reads the whole value: `bit` and `char` are quoted, because unquoted they mean one bit and one
-- character. A function counts as built in when its oid is below 16384, which initdb keeps for
-- itself. Expressions are read as node trees: their function calls are listed there whatever the
-- syntax was, and pg_depend does not list the built-in ones.
WITH RECURSIVE
relations AS (
    SELECT c.oid, c.relkind, n.nspname
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
),
meant AS (  -- with what views are made of, as far as it is no catalog
    SELECT oid, relkind FROM relations WHERE nspname = ANY ($1)
    UNION
    SELECT relations.oid, relations.relkind
    FROM meant
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = meant.oid AND meant.relkind IN ('v', 'm')
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    JOIN relations ON relations.oid = d.refobjid
    WHERE relations.nspname NOT IN ('pg_catalog', 'information_schema', 'fluxshard')
),
exposed AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid IN (SELECT oid FROM meant)
),
parts AS (  -- a table with its partitions, whose triggers run for rows of the table
    SELECT oid AS root, oid AS relid FROM exposed
    UNION
    SELECT parts.root, i.inhrelid
    FROM parts JOIN pg_catalog.pg_inherits AS i ON i.inhparent = parts.relid
),
database_collation AS (
    SELECT CASE d.datlocprovider
               WHEN 'b' THEN true
               WHEN 'c' THEN d.datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
               ELSE false
           END AS by_bytes
    FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
),
collations AS (  -- whether a collation orders by bytes, which in UTF-8 is by code points
    SELECT c.oid,
           CASE c.collprovider
               WHEN 'd' THEN (SELECT by_bytes FROM database_collation)
               WHEN 'b' THEN true
               WHEN 'c' THEN c.collcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
               ELSE false
           END AS by_bytes
    FROM pg_catalog.pg_collation AS c
),
domains AS (  -- each domain down to its base type
    SELECT oid AS domain, typbasetype AS base, typnotnull AS not_null,
           typdefault IS NOT NULL AS has_default
    FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT domains.domain, t.typbasetype, domains.not_null OR t.typnotnull,
           domains.has_default OR t.typdefault IS NOT NULL
    FROM domains JOIN pg_catalog.pg_type AS t ON t.oid = domains.base AND t.typtype = 'd'
),
columns AS (
    SELECT a.attrelid, a.attnum, a.attname, a.atthasdef, a.attidentity, a.attgenerated,
           a.attcollation, coalesce(d.base, a.atttypid) AS typid, d.domain IS NOT NULL AS domain,
           a.attnotnull OR coalesce(d.not_null, false) AS not_null,
           coalesce(d.has_default, false) AS domain_default
    FROM exposed
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = exposed.oid
    LEFT JOIN (
        SELECT domains.* FROM domains
        JOIN pg_catalog.pg_type AS t ON t.oid = domains.base AND t.typtype <> 'd'
    ) AS d ON d.domain = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped
),
types AS (
    SELECT t.oid, t.typname, t.typcategory, n.nspname,
           t.typcategory = 'A' AND t.typelem <> 0 AS is_array,
           e.typname AS element_name, en.nspname AS element_schema
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem
    LEFT JOIN pg_catalog.pg_namespace AS en ON en.oid = e.typnamespace
    WHERE t.oid IN (SELECT typid FROM columns)
),
spelled AS (
    SELECT oid, typcategory, is_array, nspname, typname,
           CASE
               WHEN named.owner <> 'pg_catalog' THEN
                   '"' || pg_catalog.replace(named.owner, '"', '""') || '"."'
                   || pg_catalog.replace(bare, '"', '""') || '"'
               WHEN bare IN ('bit', 'char') THEN '"' || bare || '"'
               ELSE bare
           END || CASE WHEN is_array THEN '[]' ELSE '' END AS name
    FROM (
        SELECT types.*,
               CASE WHEN is_array THEN element_schema ELSE nspname END AS owner,
               CASE WHEN is_array THEN element_name ELSE typname END AS bare
        FROM types
    ) AS named
),
expressions AS (  -- defaults, generated columns and check constraints, as node trees
    SELECT d.adrelid AS relid, d.adbin::text AS tree, true AS computes
    FROM pg_catalog.pg_attrdef AS d WHERE d.adrelid IN (SELECT relid FROM parts)
    UNION ALL
    SELECT k.conrelid, k.conbin::text, false
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contype = 'c' AND k.conrelid IN (SELECT relid FROM parts)
),
calling AS (  -- those that call more than immutable built-ins
    SELECT DISTINCT relid, computes
    FROM expressions
    WHERE tree LIKE '%{SQLVALUEFUNCTION%' OR tree LIKE '%{NEXTVALUEEXPR%'
       OR tree LIKE '%{COERCETODOMAIN %' OR EXISTS (
        SELECT FROM pg_catalog.regexp_matches(tree, ':(?:op)?funcid (\d+)', 'g') AS found(ids)
        JOIN pg_catalog.pg_proc AS p ON p.oid = found.ids[1]::oid
        WHERE p.provolatile <> 'i' OR p.oid >= 16384)
),
unique_keys AS (  -- what ON CONFLICT can infer: not partial, no expressions, not deferrable
    SELECT i.indrelid, i.indisprimary,
           pg_catalog.array_agg(a.attname::text ORDER BY key.position) AS names
    FROM pg_catalog.pg_index AS i
    CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS key(attnum, position)
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
    WHERE i.indisunique AND i.indisvalid AND i.indimmediate
      AND i.indpred IS NULL AND i.indexprs IS NULL
      AND key.position <= i.indnkeyatts
      AND i.indrelid IN (SELECT oid FROM exposed)
    GROUP BY i.indexrelid, i.indrelid, i.indisprimary
),
primary_keys AS MATERIALIZED (  -- deferrable ones too
    SELECT k.conrelid, pg_catalog.array_agg(a.attname::text ORDER BY key.position) AS names
    FROM pg_catalog.pg_constraint AS k
    CROSS JOIN LATERAL pg_catalog.unnest(k.conkey) WITH ORDINALITY AS key(attnum, position)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.attnum
    WHERE k.contype = 'p' AND k.conrelid IN (SELECT oid FROM exposed)
    GROUP BY k.oid, k.conrelid
),
triggered_tables AS MATERIALIZED (
    SELECT DISTINCT parts.root FROM parts JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = parts.relid
    WHERE NOT t.tgisinternal
    UNION
    SELECT parts.root FROM parts JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = parts.relid
    WHERE r.ev_type <> '1'
    UNION
    SELECT parts.root FROM parts JOIN calling ON calling.relid = parts.relid
    WHERE NOT calling.computes
),
computing_tables AS MATERIALIZED (
    SELECT DISTINCT parts.root FROM parts JOIN calling ON calling.relid = parts.relid
    WHERE calling.computes
    UNION
    SELECT columns.attrelid FROM columns WHERE columns.domain_default
),
uniques_of AS MATERIALIZED (
    SELECT indrelid AS oid, pg_catalog.json_agg(names ORDER BY names)::text AS list
    FROM (SELECT DISTINCT indrelid, names FROM unique_keys WHERE NOT indisprimary) AS distinct_keys
    GROUP BY indrelid
),
constraints_of AS MATERIALIZED (
    SELECT k.conrelid AS oid, pg_catalog.json_object_agg(k.conname, (
               SELECT pg_catalog.json_agg(a.attname::text ORDER BY key.position)
               FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS key(attnum, position)
               JOIN pg_catalog.pg_attribute AS a
                   ON a.attrelid = k.conrelid AND a.attnum = key.attnum
           ) ORDER BY k.conname)::text AS list
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contype IN ('p', 'u', 'x') AND k.conrelid <> 0
    GROUP BY k.conrelid
),
foreign_keys_of AS MATERIALIZED (
    SELECT k.conrelid AS oid, pg_catalog.json_agg(pg_catalog.json_build_object(
               'name', k.conname, 'schema', n.nspname, 'relation', c.relname,
               'columns', (
                   SELECT pg_catalog.json_agg(a.attname ORDER BY key.position)
                   FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS key(attnum, position)
                   JOIN pg_catalog.pg_attribute AS a
                       ON a.attrelid = k.conrelid AND a.attnum = key.attnum),
               'target_columns', (
                   SELECT pg_catalog.json_agg(a.attname ORDER BY key.position)
                   FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS key(attnum, position)
                   JOIN pg_catalog.pg_attribute AS a
                       ON a.attrelid = k.confrelid AND a.attnum = key.attnum)
           ) ORDER BY k.conname)::text AS list
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid AND NOT c.relispartition
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0
    GROUP BY k.conrelid
),
partitions_of AS MATERIALIZED (
    SELECT parts.root AS oid,
           pg_catalog.array_agg(pg_catalog.concat(n.nspname, '.', c.relname)
                                ORDER BY pg_catalog.concat(n.nspname, '.', c.relname)) AS list
    FROM parts
    JOIN pg_catalog.pg_class AS c ON c.oid = parts.relid AND c.relispartition
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    GROUP BY parts.root
),
columns_of AS MATERIALIZED (
    SELECT columns.attrelid AS oid, pg_catalog.json_agg(pg_catalog.json_build_object(
               'name', columns.attname,
               'type', spelled.name,
               'not_null', columns.not_null,
               'has_default',
                   columns.atthasdef OR columns.attidentity <> '' OR columns.domain_default,
               'identity', columns.attidentity = 'a',
               'domain', columns.domain,
               'generated', columns.attgenerated <> '' OR columns.attidentity = 'a',
               'array', spelled.is_array,
               'category', spelled.typcategory,
               'mergeable', spelled.nspname = 'pg_catalog' AND (
                   spelled.typname IN (
                       'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'bool',
                       'date', 'time', 'timestamp', 'timestamptz', 'uuid', 'bytea')
                   OR (spelled.typname IN ('text', 'varchar', 'name')
                       AND coalesce(collations.by_bytes, false)))
           ) ORDER BY columns.attnum)::text AS list
    FROM columns
    JOIN spelled ON spelled.oid = columns.typid
    LEFT JOIN collations ON collations.oid = columns.attcollation
    GROUP BY columns.attrelid
)
-- Each part is made once for all tables and joined: asked for each table, 2,000 tables take 14 s.
SELECT
    exposed.nspname::text AS schema,
    exposed.relname::text AS relation,
    exposed.relkind::text AS kind,
    exposed.relrowsecurity AS rls,
    triggered_tables.root IS NOT NULL AS triggered,
    computing_tables.root IS NOT NULL AS computed_defaults,
    coalesce(primary_keys.names, '{}') AS primary_key,
    coalesce(uniques_of.list, '[]') AS uniques,
    coalesce(constraints_of.list, '{}') AS constraints,
    coalesce(foreign_keys_of.list, '[]') AS foreign_keys,
    coalesce(partitions_of.list, '{}') AS partitions,
    CASE WHEN exposed.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(exposed.oid, true) END
        AS definition,
    coalesce(columns_of.list, '[]') AS columns
FROM exposed
LEFT JOIN triggered_tables ON triggered_tables.root = exposed.oid
LEFT JOIN computing_tables ON computing_tables.root = exposed.oid
LEFT JOIN primary_keys ON primary_keys.conrelid = exposed.oid
LEFT JOIN uniques_of ON uniques_of.oid = exposed.oid
LEFT JOIN constraints_of ON constraints_of.oid = exposed.oid
LEFT JOIN foreign_keys_of ON foreign_keys_of.oid = exposed.oid
LEFT JOIN partitions_of ON partitions_of.oid = exposed.oid
LEFT JOIN columns_of ON columns_of.oid = exposed.oid
ORDER BY exposed.nspname, exposed.relname
