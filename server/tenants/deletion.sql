-- Tenants that are to be deleted, in the catalog's database: asked for, and due after a time of grace.
create schema if not exists fluxshard;

create table if not exists fluxshard.tenant_deletion (
    tenant text primary key,
    due_at timestamptz not null,
    actor text not null,
    reason text not null,
    asked_at timestamptz not null default now()
);
comment on table fluxshard.tenant_deletion is 'Tenants to be deleted: fluxshard tenants purge';
