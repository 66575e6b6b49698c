-- $1: names of tables as schema.table. What a move needs to know of each: its columns, and what of
-- an old row reaches the log, for the table itself or for the leaves of a partitioned one.
WITH RECURSIVE named AS (
    SELECT n.nspname || '.' || c.relname AS name, c.oid, c.relkind, c.relpersistence
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY ($1::text[])
), family AS (
    SELECT name, oid AS member FROM named
    UNION
    SELECT family.name, i.inhrelid FROM family JOIN pg_catalog.pg_inherits i ON i.inhparent = family.member
), leaves AS (
    SELECT family.name, c.oid, c.relreplident
    FROM family JOIN pg_catalog.pg_class c ON c.oid = family.member AND c.relkind = 'r'
), identities AS (
    SELECT leaves.name, leaves.oid, leaves.relreplident = 'f' AS whole, leaves.relreplident = 'n' AS nothing,
        coalesce(array_agg(a.attname::text ORDER BY k.position) FILTER (WHERE a.attname IS NOT NULL), '{}') AS columns
    FROM leaves
    LEFT JOIN pg_catalog.pg_index x ON x.indrelid = leaves.oid
        AND CASE leaves.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident ELSE false END
    LEFT JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY k (attnum, position) ON k.position <= x.indnkeyatts
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = leaves.oid AND a.attnum = k.attnum
    GROUP BY 1, 2, 3, 4
)
SELECT
    named.name,
    named.relkind::text AS kind,
    named.relpersistence = 'p' AS logged,
    named.oid::regclass::text AS relation,
    (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(
            a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull) ORDER BY a.attname), '[]')
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = named.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')::text AS columns,
    (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'leaf', i.oid::regclass::text, 'whole', i.whole, 'nothing', i.nothing, 'columns', i.columns)), '[]')
        FROM identities i WHERE i.name = named.name)::text AS identities,
    pg_catalog.pg_total_relation_size(named.oid) AS bytes,
    greatest((SELECT c.reltuples FROM pg_catalog.pg_class c WHERE c.oid = named.oid), 0)::bigint AS estimate,
    pg_catalog.has_table_privilege(named.oid, 'SELECT, INSERT, UPDATE, DELETE') AS may_write,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned
FROM named JOIN pg_catalog.pg_class c ON c.oid = named.oid
ORDER BY 1
