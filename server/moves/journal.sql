-- The journal of moves: in the catalog's database. A move's row says where it is and who carries it
-- out; each transition is a row of move_steps, which is never changed.
create schema if not exists fluxshard;

create sequence if not exists fluxshard.move_leases;
comment on sequence fluxshard.move_leases is 'Lease numbers of movers: they only grow.';

create table if not exists fluxshard.moves (
    id bigint generated always as identity primary key,
    token text not null unique,
    cluster_id text not null,
    units text[] not null,
    tenants text[] not null,
    source text not null,
    target text not null,
    state text not null,
    max_pause_s double precision not null,
    paused boolean not null default false,
    lease bigint not null default 0,
    holder text,
    held_until timestamptz,
    facts jsonb not null default '{}',
    note text not null default '',
    author text not null,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now()
);
comment on table fluxshard.moves is 'Moves of tenants and slots between shards. See: fluxshard moves';

create table if not exists fluxshard.move_steps (
    id bigint generated always as identity primary key,
    move bigint not null references fluxshard.moves (id),
    state text not null,
    lease bigint not null,
    facts jsonb not null default '{}',
    note text not null default '',
    at timestamptz not null default clock_timestamp()
);
create index if not exists move_steps_of_move on fluxshard.move_steps (move, id);
comment on table fluxshard.move_steps is 'Every transition of every move, with the lease of who made it.';
