-- $1: names of tables as schema.table. Their columns, with the type under any domains.
select
    n.nspname || '.' || c.relname as "table",
    c.relkind::text as relkind,
    a.attname::text as name,
    format_type(base.oid, null) as type,
    (a.attnotnull or base.not_null) as not_null,
    coalesce(l.collisdeterministic, true) as by_bytes,
    (a.atttypmod <> -1 or base.limited) as limited,
    c.relrowsecurity as row_security,
    coalesce(pg_get_expr(d.adbin, d.adrelid), '') as "default"
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_collation l on l.oid = a.attcollation
left join pg_catalog.pg_attrdef d
    on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
cross join lateral (
    with recursive chain as (
        select t.oid, t.typbasetype, t.typnotnull, t.typtypmod
        from pg_catalog.pg_type t
        where t.oid = a.atttypid
        union all
        select t.oid, t.typbasetype, t.typnotnull, t.typtypmod
        from chain
        join pg_catalog.pg_type t on t.oid = chain.typbasetype
    )
    select
        max(chain.oid) filter (where chain.typbasetype = 0) as oid,
        bool_or(chain.typnotnull) as not_null,
        bool_or(chain.typtypmod <> -1) as limited
    from chain
) base
where n.nspname || '.' || c.relname = any($1::text[])
    and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by 1, a.attnum
