-- $1: names of tables as schema.table. The sequences that number their columns: those of identity
-- and serial columns, and those that a default calls. `last` is null where nobody has used it, or
-- where the login role may not see it.
select
    n.nspname || '.' || c.relname as "table",
    a.attname::text as "column",
    s.oid::regclass::text as name,
    format_type(a.atttypid, null) as type,
    a.attidentity <> '' as identity,
    q.seqstart as start,
    q.seqincrement as increment,
    q.seqmin as least,
    q.seqmax as most,
    case when has_sequence_privilege(s.oid, 'USAGE, SELECT')
        then pg_sequence_last_value(s.oid) end as last
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join lateral (
    select d.objid as oid
    from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass
        and d.refclassid = 'pg_catalog.pg_class'::regclass
        and d.refobjid = c.oid and d.refobjsubid = a.attnum and d.deptype in ('a', 'i')
    union
    select d.refobjid
    from pg_catalog.pg_attrdef f
    join pg_catalog.pg_depend d
        on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass
    where f.adrelid = c.oid and f.adnum = a.attnum
) s on true
join pg_catalog.pg_class k on k.oid = s.oid and k.relkind = 'S'
join pg_catalog.pg_sequence q on q.seqrelid = s.oid
where n.nspname || '.' || c.relname = any($1::text[]) and c.relkind in ('r', 'p')
order by 1, a.attnum, 3
