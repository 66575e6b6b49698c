"""PostgresBackends on real shards: one prepared database per test, or a cluster to break."""

import asyncio
import os
import secrets
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from router import (
    Access,
    BackendSettings,
    Deadline,
    FloorExchange,
    Observation,
    PostgresBackends,
    QueryContext,
    ShardQuery,
    ShardReply,
    SharedFloors,
    Step,
    StepReached,
    by_hand,
    prepare_database,
)
from server.embedded import ClusterEndpoints, EmbeddedCluster
from shardmap import (
    KeyType,
    ShardId,
    ShardMap,
    TenantId,
    Unsharded,
    claim_identity,
    expected_identities,
    resolve,
)

LOGIN = partial(resolve, environ=os.environ)
SHARD = ShardId("shard_0")
LIMIT_S = 60.0
POSITION = (
    "pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_flush_lsn() END"
)


def map_of(endpoints: ClusterEndpoints, cluster_id: str, **changes: Any) -> ShardMap:
    """A map of the cluster in which everything is on the first shard."""
    shards = {shard.id: shard for shard in endpoints.shards}
    made = ShardMap(
        cluster_id=cluster_id,
        epoch=1,
        key_type=KeyType.INTEGER,
        shards=shards,
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=(SHARD,) * 4096,
        default_placement=Unsharded(),
    )
    return replace(made, **changes)


def asker(
    role: str = "authenticated",
    session: str = "somebody",
    seconds: float = 30.0,
    claims: str = "{}",
    tenant: str | None = None,
) -> QueryContext:
    """Who asks."""
    return QueryContext(
        role=role,
        tenant=TenantId(tenant) if tenant is not None else None,
        session=session,
        claims=claims,
        deadline=Deadline.after(seconds),
    )


def reading(sql: str, *args: object, **options: Any) -> ShardQuery:
    """A read."""
    return ShardQuery(sql, args, Access.READ, **{"claims": False, **options})


def writing(sql: str, *args: object, **options: Any) -> ShardQuery:
    """A write."""
    return ShardQuery(sql, args, Access.WRITE, **{"claims": False, **options})


async def _until(condition: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Wait for the condition, which may be a coroutine function, and give what it gave."""
    async with asyncio.timeout(limit_s):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.005)


def _meanwhile(work: Awaitable[None]) -> None:
    """Run the coroutine in a thread while the event loop of the test stands still."""

    async def run() -> None:
        await work

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()


@dataclass(slots=True)
class World:
    """One cluster, prepared, with its backends."""

    cluster: EmbeddedCluster
    database: str
    shard_map: ShardMap
    backends: PostgresBackends
    seen: list[Observation] = field(default_factory=list)
    acts: dict[Step, Callable[[str], Awaitable[None]]] = field(default_factory=dict)

    PRIMARY = "shard_0-a"
    REPLICAS = ("shard_0-b", "shard_0-c")
    POSITION = POSITION

    async def run(self, query: ShardQuery, who: QueryContext | None = None) -> ShardReply:
        return await self.backends.run(SHARD, query, who or asker())

    until = staticmethod(_until)
    asker = staticmethod(asker)
    reading = staticmethod(reading)
    writing = staticmethod(writing)

    async def read(self, sql: str, *args: object, **who: Any) -> ShardReply:
        """A read without claims, by whom `who` says."""
        return await self.run(reading(sql, *args), asker(**who))

    async def write(self, sql: str, *args: object, **who: Any) -> ShardReply:
        """A write, by whom `who` says."""
        return await self.run(writing(sql, *args), asker(**who))

    def endpoint(self, name: str):
        (found,) = (one for one in self.status().endpoints if one.endpoint == name)
        return found

    def status(self, shard: str = SHARD):
        (found,) = (one for one in self.backends.status() if one.shard == shard)
        return found

    @asynccontextmanager
    async def superuser(self, server: str):
        """A session of our own on a server, beside the router's."""
        connection = await asyncpg.connect(self.cluster.url(server, self.database))
        try:
            yield connection
        finally:
            await connection.close()

    def processes(self, server: str, title: str = "") -> list[int]:
        """The postmaster and its children, or those whose title holds the text."""
        postmaster = self.cluster.server(server).pid
        assert postmaster is not None
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                text = (entry / "cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if postmaster in {parent, int(entry.name)} and title in text:
                found.append(int(entry.name))
        return found

    @contextmanager
    def frozen(self, server: str, title: str = ""):
        """The server's processes (or those with this title) stand still: alive, and silent."""
        pids = self.processes(server, title)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextmanager
    def confirming_nothing(self):
        """No standby confirms a commit, while all of them are connected and answer."""
        with ExitStack() as stack:
            for server in self.REPLICAS:
                stack.enter_context(self.frozen(server, "walreceiver"))
            yield

    def when(self, step: Step, act: Callable[[str], Awaitable[None]]) -> None:
        """When a commit on several shards reaches the step, do this and let the world stand still."""
        self.acts[step] = act

    def observed(self, kind: type) -> list[Any]:
        return [one for one in self.seen if isinstance(one, kind)]


@dataclass(frozen=True, slots=True)
class Unprivileged:
    """A login role without rights of its own."""

    world: World
    role: str
    credentials: str

    @asynccontextmanager
    async def session(self):
        connection = await asyncpg.connect(
            self.world.cluster.url(self.world.PRIMARY, self.world.database),
            user=self.role,
            password="secret",
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def prepared_by_hand(self) -> None:
        """A superuser runs the SQL, and lets the role read the identity."""
        async with self.world.superuser(self.world.PRIMARY) as connection:
            await connection.execute(by_hand(["public"], self.role))
            await connection.execute(f"GRANT SELECT ON fluxshard.identity TO {self.role}")

    @property
    def shard_map(self) -> ShardMap:
        """The world's map, with its first shard's servers logged in to as the role."""
        shard_map = self.world.shard_map
        shard = shard_map.shards[SHARD]

        def ours(endpoint):
            return replace(endpoint, user=self.role, credentials=self.credentials)

        changed = replace(
            shard, primary=ours(shard.primary), replicas=tuple(map(ours, shard.replicas))
        )
        return replace(
            shard_map,
            epoch=shard_map.epoch + 1,
            shards={**shard_map.shards, shard.id: changed},
        )


SCHEMA = """
CREATE TABLE IF NOT EXISTS public.notes (
    id int PRIMARY KEY,
    owner text NOT NULL DEFAULT '',
    body text NOT NULL DEFAULT ''
);
GRANT SELECT, INSERT, UPDATE, DELETE ON public.notes TO authenticated;
"""


async def prepare(cluster: EmbeddedCluster, database: str, shard_map: ShardMap) -> None:
    """Make every server of the map what the map says it is, with a table to write to."""
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(cluster.url(primary.name, database))
        try:
            await prepare_database(connection)
            await claim_identity(connection, identity.cluster_id, identity.shard_id)
            await connection.execute(SCHEMA)
        finally:
            await connection.close()


def _up_or_asked_again(world: World) -> bool:
    """Whether each endpoint has its part. Those that do not are probed again, however long the
    interval is: a replica may have been asked before it had replayed its own preparation."""
    waiting = {
        one.endpoint for one in world.status().endpoints if one.state not in {"primary", "replica"}
    }
    for group in world.backends._live.groups.values():
        for member in group.members:
            if member.name in waiting:
                member.monitor.ask()
    return not waiting


@pytest_asyncio.fixture
async def open_world():
    """Open backends on a cluster: `await open_world(cluster, database, **settings)`."""
    async with AsyncExitStack() as stack:

        async def make(
            cluster: EmbeddedCluster,
            database: str,
            *,
            shard_map: ShardMap | None = None,
            floors: SharedFloors | None = None,
            exchange: FloorExchange | None = None,
            all_up: bool = True,
            **settings: Any,
        ) -> World:
            if shard_map is None:
                shard_map = map_of(cluster.endpoints(database), f"c-{database}")
            await prepare(cluster, database, shard_map)
            seen: list[Observation] = []
            acts: dict[Step, Callable[[str], Awaitable[None]]] = {}

            def observe(fact: Observation) -> None:
                seen.append(fact)
                if isinstance(fact, StepReached) and (act := acts.get(fact.step)) is not None:
                    _meanwhile(act(fact.transaction))

            backends = PostgresBackends(
                shard_map,
                BackendSettings(**{"min_connections": 0, **settings}),
                LOGIN,
                floors or stack.enter_context(SharedFloors(None)),
                observe,
                exchange,
            )
            await stack.enter_async_context(backends)
            world = World(cluster, database, shard_map, backends, seen, acts)
            if all_up:
                await _until(partial(_up_or_asked_again, world))
            return world

        yield make


@pytest.fixture
def login():
    """Who logs in to an endpoint, as the world's own backends do."""
    return LOGIN


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Wait for a condition: `await until(lambda: …)`; it may be a coroutine function."""
    return _until


@pytest.fixture
def make_world(cluster, databases, open_world) -> Callable[..., Awaitable[World]]:
    """Open backends with settings of the test's own, on the shared cluster."""

    async def make(**settings: Any) -> World:
        return await open_world(cluster, databases.name, **settings)

    return make


@pytest_asyncio.fixture
async def world(make_world) -> World:
    """Backends on the shared cluster, with a table `notes`."""
    return await make_world()


@pytest_asyncio.fixture
async def disposable_open(disposable_cluster, open_world) -> Callable[..., Awaitable[World]]:
    """Open backends with settings of the test's own, on a cluster that it may break."""
    cluster = await disposable_cluster()

    async def make(**settings: Any) -> World:
        return await open_world(cluster, "fluxbase", **settings)

    return make


@pytest_asyncio.fixture
async def disposable_world(disposable_open) -> World:
    """Backends on a cluster that the test may break."""
    return await disposable_open()


@pytest_asyncio.fixture
async def unprivileged(
    cluster: EmbeddedCluster, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Unprivileged]]]:
    """A login role that is no superuser, prepared for by hand as a superuser would."""
    made: list[tuple[World, str]] = []

    async def make(world: World, extra: str = "") -> Unprivileged:
        role = f"login_{secrets.token_hex(4)}"
        made.append((world, role))
        async with world.superuser(world.PRIMARY) as connection:
            await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret' {extra}")
        (tmp_path / role).write_text("secret\n")
        return Unprivileged(world, role, f"file:{tmp_path / role}")

    yield make
    for world, role in made:
        async with world.superuser(world.PRIMARY) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role
            )
            await connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
