-- What operators did, kept in the catalog's database. Rows are added, never changed.
create schema if not exists fluxshard;

create table if not exists fluxshard.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    via text not null,
    action text not null,
    subject text not null,
    reason text not null,
    details jsonb not null default '{}'
);
comment on table fluxshard.audit is 'Who changed what and why: fluxshard audit';
