-- Columns of sharded tables that are unique in the whole cluster. Each value that a row has is a row
-- of fluxshard.unique_value on the shard that owns the value's slot; only its digest is kept.
--
-- note_unique() is what guarded tables call after each statement, whatever its form: it notes, for
-- the router, which values there are more of and which fewer, or that there are none. The router reads the notes before it
-- commits, and takes and gives back the values in the same commit. A write by anybody else is
-- refused, or the notes would be lost; SET fluxshard.keeping = 'off' is for restores and repairs.
--
-- Arguments: the name under which values are kept, then the columns.
create schema if not exists fluxshard;

create table if not exists fluxshard.unique_value (
    name text not null,
    digest bytea not null,
    slot integer not null,
    primary key (name, digest)
);
comment on table fluxshard.unique_value is
    'Values of globally unique columns whose slots are this shard''s: SHA-256 of a JSON array of texts.';

create or replace function fluxshard.note_unique() returns trigger
    language plpgsql set search_path = pg_catalog as $$
declare
    mode constant text := current_setting('fluxshard.keeping', true);
    fields text;
    present text;
    counted text;
    changes json;
begin
    if mode = 'off' then
        return null;
    end if;
    if mode is distinct from 'on' or tg_op = 'TRUNCATE' then
        raise exception '% is globally unique, and cannot be written so', tg_argv[0] using
            errcode = 'object_not_in_prerequisite_state',
            hint = 'Write through Fluxshard, one statement that names the table at a time. For repairs: SET fluxshard.keeping = ''off''.',
            schema = tg_table_schema, table = tg_table_name;
    end if;
    select string_agg(format('%I::text', name), ', '), string_agg(format('%I is not null', name), ' and ')
        into fields, present
        from unnest(tg_argv[1:]) as name;
    counted := 'select encode(sha256(convert_to(jsonb_build_array(%s)::text, ''UTF8'')), ''hex'') as digest,'
        ' %s as n from %I where %s';
    execute 'select json_object_agg(digest, n) from (select digest, sum(n) as n from ('
        || case tg_op
            when 'INSERT' then format(counted, fields, 1, 'new_rows', present)
            when 'DELETE' then format(counted, fields, -1, 'old_rows', present)
            else format(counted, fields, 1, 'new_rows', present) || ' union all '
                || format(counted, fields, -1, 'old_rows', present)
           end
        || ') as each group by digest having sum(n) <> 0) as net'
        into changes;
    perform set_config(
        'fluxshard.unique_changes',
        concat_ws(E'\n', nullif(current_setting('fluxshard.unique_changes', true), ''),
            json_build_array(tg_argv[0], coalesce(changes, '{}'))),
        true);
    return null;
end
$$;
revoke all on function fluxshard.note_unique() from public;
