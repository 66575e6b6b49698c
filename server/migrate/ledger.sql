-- What was applied to this database, and how far. Written by fluxshard migrate only.
create schema if not exists fluxshard;

create table if not exists fluxshard.migrations (
    version bigint primary key,
    name text not null,
    checksum text not null,
    state text not null check (state in ('applying', 'applied', 'reverting')),
    steps integer not null,
    done text[] not null default '{}',
    running text,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    duration_s double precision,
    applied_by text not null
);
comment on table fluxshard.migrations is 'Schema migrations of this database: fluxshard migrate status';
