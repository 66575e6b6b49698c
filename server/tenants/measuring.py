"""Counting rows by tenant on the shards, with a bound on what is read of each table."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from server.catalog import Session
from server.primaries import primary_session
from server.tenants.sizes import Extent, Sizes, TableCount, sizes_of
from shardmap import (
    InvalidTenantKey,
    MapUnavailable,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    TenantId,
    tenant_id,
)

READ_ROWS: Final = 200_000
"""Rows of a table that are read at most; of a larger one a sample of about as many is scaled up.
Some 0.1 s of a shard's time, and the largest tenants come out within a few per cent."""
COUNT_TIMEOUT_S: Final = 10.0
"""For one table: a busy shard has better things to do."""
ANSWER_TIMEOUT_S: Final = 5.0
"""Beyond that, for the server to say that the count took too long; a frozen one never does."""

_EXTENT: Final = """
select sum(greatest(c.reltuples, 0))::float8 as rows, sum(pg_catalog.pg_table_size(c.oid))::bigint as bytes
from pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) part
join pg_catalog.pg_class c on c.oid = part.relid
where part.isleaf
"""
_BYTES_PER_ROW: Final = 100
"""A guess for tables that were never analysed."""


async def measure(
    shard_map: ShardMap, environ: Mapping[str, str], shards: Sequence[ShardId] | None = None
) -> Sizes:
    """How large every tenant of these shards is (default: of all that have any), at once."""
    counts: list[TableCount] = []
    unknown: list[str] = []

    async def ask(shard: ShardId) -> None:
        try:
            async with primary_session(shard_map, shard, environ) as session:
                for table, placement in shard_map.tables.items():
                    if isinstance(placement, Sharded):
                        try:
                            async with asyncio.timeout(COUNT_TIMEOUT_S + ANSWER_TIMEOUT_S):
                                counts.append(
                                    await _counted(
                                        session, shard_map, shard, table, placement.column
                                    )
                                )
                        except (asyncpg.QueryCanceledError, asyncpg.SyntaxOrAccessError) as error:
                            unknown.append(f"{table} on {shard}: {error}")
        except MapUnavailable as error:
            unknown.append(f"{shard}: {error}")

    async with asyncio.TaskGroup() as tasks:
        for shard in shard_map.homes if shards is None else shards:
            tasks.create_task(ask(shard))
    return sizes_of(counts, shard_map, tuple(sorted(unknown)))


async def tenant_extents(
    shard_map: ShardMap, environ: Mapping[str, str], tenant: TenantId
) -> dict[TableName, Extent]:
    """The tenant's rows at its home, counted exactly, by table.

    Raises:
        MapUnavailable: Its shard does not answer.
    """
    found: dict[TableName, Extent] = {}
    home = shard_map.owner(tenant)
    async with (
        primary_session(shard_map, home, environ) as session,
        session.transaction(isolation="repeatable_read", readonly=True),
    ):
        for table, placement in shard_map.tables.items():
            if isinstance(placement, Sharded) and not await absent(session, table):
                await see_all(session, table)
                row = await session.fetchrow(
                    "select count(*) as rows, coalesce(sum(pg_column_size(t.*)), 0)::bigint as bytes"  # noqa: S608 - quoted
                    f" from {quoted_table(table)} t where {key_is(placement.column, shard_map)}",
                    tenant,
                )
                found[table] = Extent(row["rows"], row["bytes"]) if row is not None else Extent()
    return found


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(table: TableName) -> str:
    """`schema.table` as SQL has it."""
    schema, _, name = table.partition(".")
    return f"{quoted(schema)}.{quoted(name)}"


def key_is(column: str, shard_map: ShardMap) -> str:
    """The condition that the row is the tenant's of `$1`, which is sent as text."""
    types = {"integer": "bigint", "uuid": "uuid", "text": "text"}
    return f"{quoted(column)} = $1::text::{types[shard_map.key_type.value]}"


async def see_all(session: Session, table: TableName) -> None:
    """See every row of the table within the transaction, whatever policies it has."""
    await session.execute("set local role none")
    if await session.fetchval("select pg_catalog.row_security_active($1)", quoted_table(table)):
        await session.execute("set local role service_role")


async def absent(session: Session, table: TableName) -> bool:
    """Whether the database has no such table."""
    return bool(
        await session.fetchval("select pg_catalog.to_regclass($1) is null", quoted_table(table))
    )


async def _counted(
    session: Session, shard_map: ShardMap, shard: ShardId, table: TableName, column: str
) -> TableCount:
    if await absent(session, table):
        return TableCount(shard, table, {})
    extent = await session.fetchrow(_EXTENT, quoted_table(table))
    size = int(extent["bytes"] or 0) if extent is not None else 0
    rows = float(extent["rows"] or 0) if extent is not None else 0.0
    rows = rows or size / _BYTES_PER_ROW
    share = min(1.0, READ_ROWS / rows) if rows else 1.0
    sample = "" if share == 1.0 else f" tablesample system ({100 * share:.6f})"
    async with session.transaction(readonly=True):
        await session.execute(f"set local statement_timeout = {int(COUNT_TIMEOUT_S * 1000)}")
        await see_all(session, table)
        found = await session.fetch(
            f"select t.{quoted(column)}::text as tenant, count(*) as rows,"  # noqa: S608 - quoted
            f" sum(pg_column_size(t.*))::bigint as bytes from {quoted_table(table)} t{sample}"
            f" where t.{quoted(column)} is not null group by 1"
        )
    by_tenant: dict[TenantId, Extent] = {}
    for row in found:
        try:
            key = tenant_id(shard_map.key_type, row["tenant"])
        except InvalidTenantKey:
            continue  # no tenant's row can have it; `map lint --live` tells of such columns
        by_tenant[key] = Extent(round(row["rows"] / share), round(row["bytes"] / share))
    return TableCount(shard, table, by_tenant, sampled=share < 1.0)
