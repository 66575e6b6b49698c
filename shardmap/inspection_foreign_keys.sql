-- $1: names of tables as schema.table. Their foreign keys and those of their partitions; what a
-- partition has from its parent is not named again.
with recursive family as (
    select n.nspname || '.' || c.relname as "table", c.oid as member
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = any($1::text[]) and c.relkind in ('r', 'p')
    union
    select family."table", i.inhrelid
    from family
    join pg_catalog.pg_inherits i on i.inhparent = family.member
)
select
    family."table",
    f.conname::text as name,
    tn.nspname || '.' || tc.relname as target,
    array(
        select a.attname::text
        from unnest(f.conkey) with ordinality k (attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum
        order by k.position
    ) as columns,
    array(
        select a.attname::text
        from unnest(f.confkey) with ordinality k (attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum
        order by k.position
    ) as target_columns
from family
join pg_catalog.pg_constraint f
    on f.conrelid = family.member and f.contype = 'f' and f.conparentid = 0
join pg_catalog.pg_class tc on tc.oid = f.confrelid
join pg_catalog.pg_namespace tn on tn.oid = tc.relnamespace
order by 1, 2
