"""Routers over several numbers of shards, and plain databases that hold the same rows."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import asyncpg

import router.analysis.forms
import router.stream
from router import Access, Router, RowCountUnexpected, Served, ShardReply, StatementFailed
from router.analysis.functions import SAFE_MARK
from router.catalogue.introspection import (
    FUNCTIONS,
    INTROSPECTION,
    merged,
    read_functions,
    read_tables,
    worst,
)
from shardmap import (
    CATALOG,
    Endpoint,
    Global,
    Pin,
    Reference,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
)
from tests.fakes.together import run_parts

from .data import ASKED, GLOBAL, GLOBAL_ROWS, REFERENCE_ROWS, SHARDED, TENANTS, TYPES, rows_of
from .keys import Keys

EXPOSED = ("public", "app")
FEW = 4
"""How many rows are given whole while these worlds are open: most answers come in pieces."""
SHARDED_TABLES = ("public.accounts", "public.orders", "public.items", "app.events", "public.logs")
REFERENCE_TABLES = ("public.countries", "public.plans")
GLOBAL_TABLES = ("public.flags",)

PLACEMENTS = {
    **{TableName(name): Sharded("tenant_id") for name in SHARDED_TABLES},
    **{TableName(name): Reference() for name in REFERENCE_TABLES},
    **{TableName(name): Global() for name in GLOBAL_TABLES},
}


def _hash(table: str, own: str) -> str:
    return (
        f"SELECT '{table}' AS name, {own} AS own, count(*) AS rows,"
        f" coalesce(sum(hashtextextended(t::text, 0)), 0) AS hash FROM {table} AS t GROUP BY 1, 2"
    )


CONTENTS = " UNION ALL ".join(
    [_hash(name, "t.tenant_id IS NOT DISTINCT FROM $1") for name in SHARDED_TABLES]
    + [_hash(name, "NULL::bool") for name in REFERENCE_TABLES]
)
GLOBAL_CONTENTS = " UNION ALL ".join(_hash(name, "NULL::bool") for name in GLOBAL_TABLES)

Contents = dict[tuple[str, bool | None], tuple[int, int]]
"""Number of rows and their hash, by table and whether they are the asking tenant's."""


class Session:
    """One connection that forgets what it wrote: read only until a write begins a transaction."""

    def __init__(self, connection: asyncpg.Connection, contents: str, keys: Keys) -> None:
        self.connection = connection
        self.writing = False
        self._keys = keys
        self._contents = contents
        self._unwritten: dict[int | None, Contents] = {}

    async def write(self) -> None:
        if not self.writing:
            self.writing = True
            await self.connection.execute("BEGIN READ WRITE")

    async def forget(self) -> None:
        if self.writing:
            self.writing = False
            await self.connection.execute("ROLLBACK")

    async def contents(self, tenant: int | None) -> Contents:
        """What its tables hold now; remembered while nothing was written."""
        if self.writing:
            return await self._read(tenant)
        if tenant not in self._unwritten:
            self._unwritten[tenant] = await self._read(tenant)
        return self._unwritten[tenant]

    async def _read(self, tenant: int | None) -> Contents:
        key = None if tenant is None else self._keys.argument(tenant)
        args = () if self._contents is GLOBAL_CONTENTS else (key,)
        records = await self.connection.fetch(self._contents, *args)
        return {(r["name"], r["own"]): (r["rows"], int(r["hash"])) for r in records}


class RememberedBackends:
    """A twin of the router's backends: sessions whose writes are undone after each statement."""

    def __init__(self, sessions: dict[ShardId, Session]) -> None:
        self.sessions = sessions
        self.types: tuple[str, ...] | None = None
        """Types of the last answer that came from one shard alone."""
        self.calls = 0

    async def run(self, shard, query, context) -> ShardReply:
        if query.access is Access.WRITE:
            await self.sessions[shard].write()
        try:
            return await self._run(shard, query)
        except asyncpg.PostgresError as error:
            raise StatementFailed(error.sqlstate, str(error)) from error

    async def open(self, shard, query, context, until) -> "FewRows":
        rows = query._replace(row_count_column=None)  # a cursor's rows are counted
        return FewRows(await self.run(shard, rows, context))

    async def run_together(self, write, context):
        for part in write.parts:
            await self.sessions[part.shard].write()
        try:
            return await run_parts(write, self._run)
        except asyncpg.PostgresError as error:
            raise StatementFailed(error.sqlstate, str(error)) from error

    async def _run(self, shard, query) -> ShardReply:
        self.calls += 1
        prepared = await self.sessions[shard].connection.prepare(query.sql)
        rows = [tuple(record) for record in await prepared.fetch(*query.args)]
        affected = affected_by(prepared.get_statusmsg())
        if query.row_count_column is not None:
            affected = rows[0][query.row_count_column]
        if query.exactly is not None and affected != query.exactly:
            raise RowCountUnexpected(query.exactly, affected)
        if query.inline_position:
            rows = [row[:-2] for row in rows]
        attributes = prepared.get_attributes()
        self.types = tuple(attribute.type.name for attribute in attributes)
        names = tuple(attribute.name for attribute in attributes)
        return ShardReply(rows, affected, names, Served(shard, str(shard), replica=False))


class FewRows:
    """A cursor that gives the first `FEW` + 1 rows, then two at a time."""

    def __init__(self, reply: ShardReply) -> None:
        self.served = reply.served
        self.columns = reply.columns
        self._rows = reply.rows
        self._next = FEW + 1

    async def batch(self):
        found, self._rows = self._rows[: self._next], self._rows[self._next :]
        self._next = 2
        return found

    @property
    def ended(self) -> bool:
        return len(self._rows) < self._next

    def abandon(self) -> None:
        self._rows = []


def affected_by(tag: str | None) -> int:
    """The number at the end of a command tag."""
    last = (tag or "").rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0


@dataclass(slots=True)
class Routed:
    """A router over some number of shards. `streams`: it is asked for reads in pieces."""

    name: str
    router: Router
    streams: bool
    backends: RememberedBackends

    async def contents(self, tenant: int | None) -> Contents:
        """Sharded rows of all shards together, reference tables of each, the catalog's own."""
        found: Contents = {}
        for shard, session in self.backends.sessions.items():
            for (table, own), (rows, content) in (await session.contents(tenant)).items():
                if own is None and shard != CATALOG:
                    known = found.setdefault((table, None), (rows, content))
                    if known != (rows, content):
                        found[f"{table} on {shard}", None] = (rows, content)
                    continue
                before = found.get((table, own), (0, 0))
                found[table, own] = (before[0] + rows, before[1] + content)
        return found

    async def forget(self) -> None:
        self.backends.types = None
        self.backends.calls = 0
        for session in self.backends.sessions.values():
            await session.forget()


@dataclass(slots=True)
class Alone:
    """One PostgreSQL that holds all rows, or those of one tenant alone."""

    session: Session

    async def contents(self, tenant: int | None) -> Contents:
        return await self.session.contents(tenant)

    async def forget(self) -> None:
        await self.session.forget()


@dataclass(slots=True)
class Worlds:
    """Everything that a statement is run on."""

    one: Alone
    alone: dict[int, Alone] = field(default_factory=dict)
    routed: list[Routed] = field(default_factory=list)


def shard_map(count: int, keys: Keys) -> ShardMap:
    """A map of that many shards; tenants are pinned in turn, so that every shard has some."""
    shards = tuple(ShardId(f"shard_{number}") for number in range(count))
    endpoint = Endpoint("a", "127.0.0.1", 5432, "fluxbase", "fluxshard")
    return ShardMap(
        cluster_id="oracle",
        epoch=1,
        key_type=keys.key_type,
        shards={shard: Shard(shard, endpoint) for shard in shards},
        catalog=endpoint,
        catalog_replicas=(),
        slots=tuple(shards[slot % count] for slot in range(4096)),
        pins={keys.id(tenant): Pin(shards[tenant % count]) for tenant in TENANTS},
        tables=PLACEMENTS,
    )


async def open_worlds(
    stack: AsyncExitStack, url: Callable[[str], str], prefix: str, counts: Sequence[int], keys: Keys
) -> Worlds:
    """Make and fill the databases on one server; `stack` closes the connections.

    `url` gives the address of a database of that server.
    """
    for module in (router.stream, router.analysis.forms):
        stack.callback(setattr, module, "WHOLE_ROWS", module.WHOLE_ROWS)
        module.WHOLE_ROWS = FEW
    admin = await asyncpg.connect(url("postgres"))
    stack.push_async_callback(admin.close)

    async def session(name: str, sql: str, contents: str = CONTENTS) -> Session:
        database = f"{prefix}_{name}"
        await admin.execute(f'CREATE DATABASE "{database}"')
        stack.push_async_callback(admin.execute, f'DROP DATABASE "{database}" WITH (FORCE)')
        connection = await asyncpg.connect(
            url(database),
            statement_cache_size=0,
            server_settings={"timezone": "UTC", "jit": "off", "statement_timeout": "10s"},
        )
        stack.push_async_callback(connection.close)
        await connection.execute(sql)
        await connection.execute("ANALYZE; SET default_transaction_read_only = on")
        return Session(connection, contents, keys)

    catalog = await session("catalog", TYPES + GLOBAL + GLOBAL_ROWS, GLOBAL_CONTENTS)

    async def database(
        name: str, tenants: Sequence[int], more: str = "", contents: str = CONTENTS
    ) -> Session:
        rows = "\n".join(rows_of(tenant, keys.text(tenant)) for tenant in tenants)
        tables = SHARDED.replace("tenant_id KEY", f"tenant_id {keys.column}")
        return await session(name, TYPES + tables + REFERENCE_ROWS + rows + more, contents)

    whole = f"{CONTENTS} UNION ALL {GLOBAL_CONTENTS}"
    worlds = Worlds(Alone(await database("one", TENANTS, GLOBAL + GLOBAL_ROWS, whole)))
    for tenant in ASKED:
        filled = "".join(
            f"ALTER TABLE {name} ALTER tenant_id SET DEFAULT {keys.literal(tenant)};"
            for name in SHARDED_TABLES
        )
        more = filled + GLOBAL + GLOBAL_ROWS
        worlds.alone[tenant] = Alone(await database(f"alone_{tenant}", [tenant], more, whole))
    for count in counts:
        placed = shard_map(count, keys)
        sessions = {}
        for shard in placed.shards:
            tenants = [t for t in TENANTS if placed.owner(keys.id(t)) == shard]
            sessions[shard] = await database(f"{count}_{shard}", tenants)
        worlds.routed.append(await _routed(f"{count} shards", placed, sessions, catalog))
    analyses = worlds.routed[0].router.analyses if worlds.routed else None
    for routed in worlds.routed:  # the same for every map of these tables
        routed.router._analyses = analyses
    return worlds


async def _holdings(session: Session):
    fetch = session.connection.fetch
    tables = read_tables(dict(row) for row in await fetch(INTROSPECTION, list(EXPOSED)))
    return tables, read_functions(dict(row) for row in await fetch(FUNCTIONS, SAFE_MARK))


async def _routed(
    name: str, placed: ShardMap, sessions: dict[ShardId, Session], catalog: Session
) -> Routed:
    tables, functions = await _holdings(next(iter(sessions.values())))
    own, _ = await _holdings(catalog)
    schema = merged(tables, own, placed, EXPOSED, worst(functions))
    backends = RememberedBackends({**sessions, CATALOG: catalog})
    routed = Router(backends, lambda: placed, lambda: schema)
    return Routed(name, routed, len(placed.shards) == 4, backends)
