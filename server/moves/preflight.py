"""The preflight: everything that would break a move, or its writers, found before anything is changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from server.moves.group import Table, read_tables, sharded_tables, whose
from server.moves.refusals import Server, Side, refusals
from server.moves.sessions import Places, Session
from shardmap import (
    REFUSING,
    KeyType,
    ShardId,
    ShardMap,
    TableName,
    TenantId,
    read_facts,
    table_findings,
    tables_of,
)

TABLES: Final = files("server.moves").joinpath("tables.sql").read_text()
SERVER: Final = files("server.moves").joinpath("server.sql").read_text()


@dataclass(frozen=True, slots=True)
class Inspected:
    """What both sides say, and what is wrong with it."""

    problems: tuple[str, ...]
    tables: Mapping[TableName, Table]
    """As they are on the source."""
    rows: Mapping[TableName, int]
    """Rows that will move, as PostgreSQL estimates them."""
    bytes: int


async def inspect(
    places: Places, source: ShardId, target: ShardId, tenants: Sequence[TenantId]
) -> Inspected:
    """Ask both sides; nothing is changed.

    Raises:
        MoveAway: One of them does not answer.
    """
    shard_map = places.shard_map
    columns = sharded_tables(shard_map)
    async with places.primary(source) as one, places.primary(target) as other:
        here = await _side(one, shard_map, source, columns)
        there = await _side(other, shard_map, target, columns)
        foreign = await _foreign_rows(other, there.tables, tenants, shard_map.key_type)
        rows = {
            name: await _estimate(one, table, tenants, shard_map.key_type)
            for name, table in here.tables.items()
        }
    problems = refusals(shard_map, columns, here, there, foreign)
    whole = sum(table.bytes for table in here.tables.values())
    estimates = sum(table.estimate for table in here.tables.values())
    mine = sum(rows.values())
    size = whole * mine // max(estimates, mine, 1)
    return Inspected(problems, here.tables, rows, size)


async def foreign_rows(
    places: Places, shard: ShardId, tenants: Sequence[TenantId]
) -> tuple[TableName, ...]:
    """The tables that have rows of these tenants on a shard, where they are not at home.

    Raises:
        MoveAway: The shard does not answer.
    """
    tables = await tables_on(places, shard)
    async with places.primary(shard) as session:
        return await _foreign_rows(session, tables, tenants, places.shard_map.key_type)


async def tables_on(places: Places, shard: ShardId) -> Mapping[TableName, Table]:
    """The group's tables as they are on one shard."""
    columns = sharded_tables(places.shard_map)
    async with places.primary(shard) as session:
        return read_tables(await session.fetch(TABLES, list(columns)), columns)


async def _side(
    session: Session, shard_map: ShardMap, shard: ShardId, columns: Mapping[TableName, str]
) -> Side:
    tables = read_tables(await session.fetch(TABLES, list(columns)), dict(columns))
    row = await session.fetchrow(SERVER)
    if row is None:
        raise AssertionError("the facts are one row")
    server = Server(
        version=row["version"],
        wal_level=row["wal_level"],
        free_slots=row["free_slots"],
        free_senders=row["free_senders"],
        free_workers=row["free_workers"],
        superuser=row["superuser"],
        may_replicate=row["may_replicate"],
        may_subscribe=row["may_subscribe"],
        may_publish=row["may_publish"],
        prepared=tuple(json.loads(row["prepared"])),
    )
    findings = table_findings(
        shard_map, shard, await read_facts(session, tables_of(shard_map, shard))
    )
    refused = tuple(str(one) for one in findings if one.severity in REFUSING)
    return Side(shard, server, tables, refused)


async def _foreign_rows(
    session: Session,
    tables: Mapping[TableName, Table],
    tenants: Sequence[TenantId],
    key_type: KeyType,
) -> tuple[TableName, ...]:
    """The tables that have rows of these tenants where they are not at home."""
    found = []
    for name, table in tables.items():
        if table.kind not in {"r", "p"}:
            continue
        mine = whose(table.tenant, tenants, key_type)
        if await session.fetchval(f"SELECT EXISTS (SELECT FROM {table.relation} WHERE {mine})"):  # noqa: S608
            found.append(name)
    return tuple(found)


async def _estimate(
    session: Session, table: Table, tenants: Sequence[TenantId], key_type: KeyType
) -> int:
    """Rows of the tenants, by the planner; exact counts would read them all."""
    if table.kind not in {"r", "p"}:
        return 0
    mine = whose(table.tenant, tenants, key_type)
    plan: Any = await session.fetchval(
        f"EXPLAIN (FORMAT JSON) SELECT FROM {table.relation} WHERE {mine}"
    )
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return int(plan[0]["Plan"]["Plan Rows"])
