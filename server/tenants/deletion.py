"""Deleting a tenant for good: asked for, withdrawn within the time of grace, carried out after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Final

from server.catalog import Session
from server.moves import Moves, Places
from server.primaries import primary_session
from server.tenants.errors import TenantRefused
from server.tenants.measuring import key_is, quoted_table, see_all
from server.tenants.tables import enter, sharded_here
from shardmap import Sharded, ShardMap, TableName, TenantId, slot_of

_SCRIPT: Final = files("server.tenants").joinpath("deletion.sql").read_text()
_EXISTS: Final = "select pg_catalog.to_regclass('fluxshard.tenant_deletion') is not null"
_ASK: Final = """
insert into fluxshard.tenant_deletion (tenant, due_at, actor, reason)
values ($1, now() + $2::interval, $3, $4)
on conflict (tenant) do update set due_at = excluded.due_at, actor = excluded.actor,
    reason = excluded.reason, asked_at = now()
returning due_at
"""
_LIST: Final = """
select tenant, due_at, due_at <= now() as due, actor, reason
from fluxshard.tenant_deletion order by due_at, tenant
"""
_FORGET: Final = "delete from fluxshard.tenant_deletion where tenant = $1 returning tenant"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A tenant that is to be deleted. Until it is, it is served as before."""

    tenant: TenantId
    due_at: datetime
    due: bool
    actor: str
    reason: str


async def ask(
    catalog: Session, tenant: TenantId, grace_s: float, *, actor: str, reason: str
) -> datetime:
    """Have the tenant deleted by the first purge after the time of grace; when that is."""
    await catalog.execute(_SCRIPT)
    due: datetime = await catalog.fetchval(_ASK, tenant, timedelta(seconds=grace_s), actor, reason)
    return due


async def withdraw(catalog: Session, tenant: TenantId) -> bool:
    """Whether the tenant was to be deleted, and is no longer."""
    if not await catalog.fetchval(_EXISTS):
        return False
    return await catalog.fetchval(_FORGET, tenant) is not None


async def asked(catalog: Session) -> tuple[Deletion, ...]:
    """The tenants that are to be deleted, those that are due first."""
    if not await catalog.fetchval(_EXISTS):
        return ()
    return tuple(
        Deletion(TenantId(row["tenant"]), row["due_at"], row["due"], row["actor"], row["reason"])
        for row in await catalog.fetch(_LIST)
    )


async def delete_rows(
    shard_map: ShardMap, environ: Mapping[str, str], tenant: TenantId
) -> Mapping[TableName, int]:
    """Delete all rows of the tenant at its home, in one transaction; how many by table.

    Raises:
        TenantRefused: A move still has rows of it elsewhere, or keeps a way back.
        MapUnavailable: The shard does not answer.
        MoveError: The catalog does not answer.
    """
    for move in await Moves(Places(shard_map, environ)).journal.unfinished():
        if tenant in move.tenants or slot_of(tenant) in move.of_slots:
            raise TenantRefused(
                [f"move {move.id} has the tenant ({move.state}): `fluxshard moves clean`, or abort"]
            )
    home = shard_map.owner(tenant)
    done: dict[TableName, int] = {}
    async with primary_session(shard_map, home, environ) as session, session.transaction():
        await enter(session, shard_map, tenant)
        keys = await sharded_here(session, shard_map)
        for table, key in reversed(keys.items()):
            await see_all(session, table)
            mine = f"{quoted_table(table)} where {key_is(key, shard_map)}"
            placement = shard_map.tables[table]
            if isinstance(placement, Sharded) and placement.global_unique:
                if await session.fetchval(f"select exists (select from {mine})", tenant):  # noqa: S608 - quoted
                    raise TenantRefused(
                        [
                            f"{table}: has globally unique columns: delete its rows over the API first"
                        ]
                    )
                continue
            result = await session.execute(f"delete from {mine}", tenant)  # noqa: S608 - quoted
            done[table] = int(result.rpartition(" ")[2])
    return done
