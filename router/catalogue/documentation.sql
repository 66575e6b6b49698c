-- What people are told of the exposed schemas in $1 (text[]), as the role $2 (text) may use them: one
-- row with three JSON arrays. Comments, defaults, labels and lengths are read only when a document is
-- made, not with each reading of the schema. A role that does not exist may do nothing.
--
-- Types are what PostgreSQL shows people: without modifiers, with their schema unless it is pg_catalog,
-- and a domain as its base type.
WITH RECURSIVE
role AS (
    SELECT (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $2) AS oid
),
namespaces AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)
),
bases AS (
    SELECT t.oid, t.oid AS base, t.typtype, t.typbasetype, -1 AS modifier, NULL::text COLLATE "C" AS preset
    FROM pg_catalog.pg_type AS t
    UNION ALL
    SELECT bases.oid, t.oid, t.typtype, t.typbasetype, d.typtypmod,
           coalesce(bases.preset, d.typdefault)
    FROM bases
    JOIN pg_catalog.pg_type AS d ON d.oid = bases.base AND bases.typtype = 'd'
    JOIN pg_catalog.pg_type AS t ON t.oid = bases.typbasetype
),
types AS (
    SELECT bases.oid, bases.base, bases.modifier, bases.preset,
           CASE
               WHEN n.nspname = 'pg_catalog' AND (t.typelem = 0 OR en.nspname = 'pg_catalog')
               THEN pg_catalog.format_type(bases.base, NULL)
               WHEN t.typcategory = 'A' AND t.typelem <> 0
               THEN pg_catalog.concat(pg_catalog.quote_ident(en.nspname), '.',
                   pg_catalog.quote_ident(e.typname), '[]')
               ELSE pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.',
                   pg_catalog.quote_ident(t.typname))
           END AS name
    FROM bases
    JOIN pg_catalog.pg_type AS t ON t.oid = bases.base
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
    LEFT JOIN pg_catalog.pg_namespace AS en ON en.oid = e.typnamespace
    WHERE bases.typtype <> 'd'
),
columns AS (
    SELECT a.attrelid, pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', a.attname,
        'type', types.name,
        'comment', pg_catalog.col_description(a.attrelid, a.attnum),
        'default', CASE
            WHEN a.attgenerated <> '' OR a.attidentity = 'a' THEN NULL
            WHEN a.attidentity = 'd' THEN pg_catalog.format('nextval(%L::regclass)',
                pg_catalog.pg_get_serial_sequence(a.attrelid::pg_catalog.regclass::text, a.attname))
            ELSE coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), types.preset)
        END,
        'max_length', CASE
            WHEN sized.modifier < 0 THEN NULL
            WHEN types.base IN ('pg_catalog.bpchar'::pg_catalog.regtype,
                                'pg_catalog.varchar'::pg_catalog.regtype) THEN sized.modifier - 4
            WHEN types.base IN ('pg_catalog.bit'::pg_catalog.regtype,
                                'pg_catalog.varbit'::pg_catalog.regtype) THEN sized.modifier
        END,
        'labels', ARRAY(
            SELECT labels.enumlabel FROM pg_catalog.pg_enum AS labels
            WHERE labels.enumtypid = types.base ORDER BY labels.enumsortorder)
    ) ORDER BY a.attnum) AS described
    FROM pg_catalog.pg_class AS c
    JOIN namespaces ON namespaces.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN types ON types.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    CROSS JOIN LATERAL (
        SELECT CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE types.modifier END AS modifier
    ) AS sized
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    GROUP BY a.attrelid
)
SELECT
    coalesce((
        SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'schema', nspname, 'comment', pg_catalog.obj_description(oid, 'pg_namespace'),
            'usable', pg_catalog.has_schema_privilege(role.oid, namespaces.oid, 'USAGE')))
        FROM (SELECT * FROM namespaces ORDER BY nspname) AS namespaces
    ), '[]')::text AS schemas,
    coalesce((
        SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'schema', namespaces.nspname,
            'relation', c.relname,
            'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
            'may', pg_catalog.json_build_object(
                'select', pg_catalog.has_any_column_privilege(role.oid, c.oid, 'SELECT'),
                'insert', pg_catalog.has_any_column_privilege(role.oid, c.oid, 'INSERT'),
                'update', pg_catalog.has_any_column_privilege(role.oid, c.oid, 'UPDATE'),
                'delete', pg_catalog.has_table_privilege(role.oid, c.oid, 'DELETE')),
            'columns', coalesce(columns.described, '[]')
        ) ORDER BY namespaces.nspname, c.relname)
        FROM pg_catalog.pg_class AS c
        JOIN namespaces ON namespaces.oid = c.relnamespace
        LEFT JOIN columns ON columns.attrelid = c.oid
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    ), '[]')::text AS relations,
    coalesce((
        SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'schema', namespaces.nspname,
            'name', p.proname,
            'arguments', coalesce((
                SELECT pg_catalog.json_agg(types.name ORDER BY a.position)
                FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[])
                    WITH ORDINALITY AS a(type, position)
                JOIN types ON types.oid = a.type), '[]'),
            'comment', pg_catalog.obj_description(p.oid, 'pg_proc'),
            'executable', pg_catalog.has_function_privilege(role.oid, p.oid, 'EXECUTE')
        ) ORDER BY namespaces.nspname, p.proname, p.oid)
        FROM pg_catalog.pg_proc AS p
        JOIN namespaces ON namespaces.oid = p.pronamespace
        WHERE p.prokind = 'f' AND p.prorettype NOT IN (
            'pg_catalog.internal'::pg_catalog.regtype, 'pg_catalog.trigger'::pg_catalog.regtype,
            'pg_catalog.event_trigger'::pg_catalog.regtype, 'pg_catalog.cstring'::pg_catalog.regtype)
    ), '[]')::text AS routines
FROM role
