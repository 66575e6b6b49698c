-- Which shard of which cluster a server is. Written once, in every shard's database and in the
-- catalog's; replicas have it from their primary. A server whose row differs is never used.
create schema if not exists fluxshard;

create table if not exists fluxshard.identity (
    singleton boolean primary key default true check (singleton),
    cluster_id text not null,
    shard_id text not null,
    claimed_at timestamptz not null default now()
);
comment on table fluxshard.identity is 'Which shard of which Fluxshard cluster this server is.';
