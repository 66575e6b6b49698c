"""The tables of one shard as archives and deletions of tenants need them."""

from server.catalog import Session
from server.tenants.manifest import Column, filling_order
from server.tenants.measuring import absent, quoted_table
from shardmap import PinUnit, Sharded, ShardMap, SlotUnit, TableName, TenantId, unit_text

_COLUMNS = """
select attname::text as name, pg_catalog.format_type(atttypid, atttypmod) as type
from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass($1) and attnum > 0 and not attisdropped
    and attgenerated = ''
order by attnum
"""
_REFERENCES = """
select a.nspname || '.' || c.relname as source, b.nspname || '.' || d.relname as target
from pg_catalog.pg_constraint f
join pg_catalog.pg_class c on c.oid = f.conrelid
join pg_catalog.pg_namespace a on a.oid = c.relnamespace
join pg_catalog.pg_class d on d.oid = f.confrelid
join pg_catalog.pg_namespace b on b.oid = d.relnamespace
where f.contype = 'f'
"""


async def sharded_here(session: Session, shard_map: ShardMap) -> dict[TableName, str]:
    """The sharded tables that are there, with their tenant columns, in the order of filling."""
    keys = {
        table: placement.column
        for table, placement in shard_map.tables.items()
        if isinstance(placement, Sharded) and not await absent(session, table)
    }
    rows = await session.fetch(_REFERENCES)
    pairs = [(TableName(row["source"]), TableName(row["target"])) for row in rows]
    return {table: keys[table] for table in filling_order(keys, pairs)}


async def columns_of(session: Session, table: TableName) -> tuple[Column, ...]:
    """The stored columns of a table."""
    rows = await session.fetch(_COLUMNS, quoted_table(table))
    return tuple(Column(row["name"], row["type"]) for row in rows)


async def enter(session: Session, shard_map: ShardMap, tenant: TenantId) -> None:
    """Write as the tenant's writers do, within the transaction: refused where it is not at home.

    Run it before anything else, as the login role. A shard without fences lets everybody in.
    """
    if await session.fetchval(
        "select pg_catalog.to_regprocedure('fluxshard.enter(text, bigint)') is null"
    ):
        return
    unit = shard_map.unit(tenant)
    known: PinUnit | SlotUnit = unit
    await session.execute(
        "select fluxshard.enter($1, $2)", unit_text(known), shard_map.unit_epoch(unit)
    )
    await session.execute("select pg_catalog.set_config('fluxshard.entered', 'on', true)")
