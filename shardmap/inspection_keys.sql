-- $1: names of tables as schema.table. What makes their rows unique, or those of a partition:
-- the columns that are compared for equality (expressions and INCLUDE columns are not). An index
-- that is part of a partitioned one is not named again.
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
    x.indexrelid::regclass::text as name,
    case
        when x.indisexclusion then 'exclusion constraint'
        when x.indisprimary then 'primary key'
        else 'unique index'
    end as kind,
    array(
        select a.attname::text
        from unnest(x.indkey::int2[]) with ordinality k (attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
        left join pg_catalog.pg_operator o on o.oid = e.conexclop[k.position]
        where k.position <= x.indnkeyatts and (not x.indisexclusion or o.oprname = '=')
        order by k.position
    ) as columns
from family
join pg_catalog.pg_index x on x.indrelid = family.member
left join pg_catalog.pg_constraint e on e.conindid = x.indexrelid and e.conexclop is not null
where (x.indisunique or x.indisexclusion)
    and not exists (select from pg_catalog.pg_inherits i where i.inhrelid = x.indexrelid)
order by 1, 2
