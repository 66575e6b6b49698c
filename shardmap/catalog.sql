-- Where shard maps are kept: in the catalog's database. Rows are added, never changed.
create schema if not exists fluxshard;

create table if not exists fluxshard.maps (
    epoch bigint primary key check (epoch > 0),
    document jsonb not null,
    content_hash text not null,
    parent_hash text,
    author text not null,
    reason text not null,
    created_at timestamptz not null default now(),
    check ((epoch = 1) = (parent_hash is null))
);
comment on table fluxshard.maps is 'Shard maps by epoch. Applied with: fluxshard map apply';
