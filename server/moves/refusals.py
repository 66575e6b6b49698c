"""What the preflight refuses, each by name. Decides only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from server.moves.group import Table
from shardmap import ShardId, ShardMap, TableName

NEEDED_SLOTS: Final = 3
"""On each side: its stream's own, and those of two tables that are copied at a time."""
NEEDED_WORKERS: Final = 3


@dataclass(frozen=True, slots=True)
class Server:
    """What a server allows; see `server.sql`."""

    version: int
    wal_level: str
    free_slots: int
    free_senders: int
    free_workers: int
    superuser: bool
    may_replicate: bool
    may_subscribe: bool
    may_publish: bool
    prepared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One shard that takes part."""

    shard: ShardId
    server: Server
    tables: Mapping[TableName, Table]
    refused: tuple[str, ...] = ()
    """What the lint of the map refuses on it."""


def refusals(
    shard_map: ShardMap,
    columns: Mapping[TableName, str],
    source: Side,
    target: Side,
    foreign: tuple[TableName, ...],
) -> tuple[str, ...]:
    """Every problem. `foreign`: tables of the target that have rows of the tenants already."""
    found = []
    for side in (source, target):
        found += [f"{side.shard}: {problem}" for problem in _server(side)]
        found += [f"{side.shard}: {problem}" for problem in side.refused]
        for table in side.tables.values():
            found += [f"{side.shard}: {table.name}: {problem}" for problem in _table(table)]
    if not columns:
        found.append(f"the map of epoch {shard_map.epoch} lists no sharded table")
    for name in columns:
        found += [f"{name}: {problem}" for problem in _both(name, source, target)]
    found += [
        f"{target.shard}: {name} has rows of the tenant already: an earlier move may be within its"
        " retention (`fluxshard moves`, then `rollback` or `clean`)"
        for name in foreign
    ]
    return tuple(found)


def _server(side: Side) -> Iterator[str]:
    server = side.server
    if server.version < 150000:
        yield "PostgreSQL 15 or newer is needed: older ones cannot filter what they publish"
    if server.wal_level != "logical":
        yield f"wal_level is {server.wal_level}; ALTER SYSTEM SET wal_level = 'logical', and restart"
    if server.free_slots < NEEDED_SLOTS:
        yield f"{server.free_slots} replication slots are free, {NEEDED_SLOTS} are needed (max_replication_slots); `fluxshard moves clean` frees those of finished moves"
    if server.free_senders < NEEDED_SLOTS:
        yield f"{server.free_senders} WAL senders are free, {NEEDED_SLOTS} are needed (max_wal_senders)"
    if server.free_workers < NEEDED_WORKERS:
        yield f"{server.free_workers} logical replication workers are free, {NEEDED_WORKERS} are needed (max_logical_replication_workers)"
    if not server.superuser:
        yield from _rights(server)
    if server.prepared:
        yield f"{len(server.prepared)} prepared transactions are in doubt, the first is {server.prepared[0]}: recovery ends them, or COMMIT/ROLLBACK PREPARED"


def _rights(server: Server) -> Iterator[str]:
    if not server.may_replicate:
        yield "the login role may not replicate: ALTER ROLE … REPLICATION"
    if not server.may_subscribe:
        yield "the login role may not subscribe: GRANT pg_create_subscription TO … (PostgreSQL 16), or a superuser"
    if not server.may_publish:
        yield "the login role may not publish: GRANT CREATE ON DATABASE …"


def _table(table: Table) -> Iterator[str]:
    if table.kind not in {"r", "p"}:
        yield "is no table, and cannot be copied: take it out of the map, or place what it reads"
        return
    if not table.logged:
        yield "is unlogged or temporary: its rows are not in the log"
    if not table.owned:
        yield "belongs to another role, and only owners publish"
    if not table.may_write:
        yield "the login role may not read and write it"
    for leaf in table.leaves:
        if leaf.whole or table.tenant in leaf.columns:
            continue
        identity = "none" if leaf.nothing or not leaf.columns else ", ".join(leaf.columns)
        yield (
            f"the replica identity of {leaf.name} ({identity}) lacks {table.tenant}: UPDATE and DELETE"
            f" of running code would fail while it is published; ALTER TABLE {leaf.name} REPLICA"
            " IDENTITY USING INDEX … or FULL"
        )


def _both(name: TableName, source: Side, target: Side) -> Iterator[str]:
    one, other = source.tables.get(name), target.tables.get(name)
    for side, table in ((source, one), (target, other)):
        if table is None:
            yield f"is not on {side.shard}"
    if one is None or other is None:
        return
    here = {column: (kind, full) for column, kind, full in one.columns}
    there = {column: (kind, full) for column, kind, full in other.columns}
    for column in sorted(here.keys() | there):
        if column not in there:
            yield f"{column} is not on {target.shard}"
        elif column not in here:
            yield f"{column} is not on {source.shard}"
        elif here[column][0] != there[column][0]:
            yield f"{column} is {here[column][0]} on {source.shard}, {there[column][0]} on {target.shard}"
