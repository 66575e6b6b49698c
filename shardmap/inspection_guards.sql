-- $1: names of tables as schema.table. Their enabled triggers that note globally unique values.
select n.nspname || '.' || c.relname as "table", g.tgname::text as name
from pg_catalog.pg_trigger g
join pg_catalog.pg_class c on c.oid = g.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_proc p on p.oid = g.tgfoid
join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
where n.nspname || '.' || c.relname = any($1::text[])
    and pn.nspname = 'fluxshard' and p.proname = 'note_unique'
    and not g.tgisinternal and g.tgenabled in ('O', 'A')
order by 1, 2
