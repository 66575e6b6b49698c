"""A world to measure: shards with replicas in memory, limits before them, and Fluxshard in front.

Everything in it is started by `open_world` and ended with its context. Servers may be limited
(`bench.limits`), replicas may lag by a set time, and there may be several instances of Fluxshard.
"""

import asyncio
import os
import secrets
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from bench.errors import WorldFailed
from bench.gates import Gates, opened_gates
from bench.limits import CpuQuota, Limit, ServiceTime, Unlimited, written
from bench.network import Link, Network, free_ports, open_network
from bench.quota import limited
from bench.scratch import CLUSTER, scratch
from bench.workloads import SERVICE, Workload
from router import prepare_database
from server.auth import mint
from server.embedded import ClusterEndpoints, ClusterSpec, EmbeddedCluster, Sockets
from server.owned_directory import in_memory
from shardmap import (
    CATALOG,
    CatalogSource,
    Durability,
    KeyType,
    Placement,
    Shard,
    ShardId,
    ShardMap,
    TableName,
    claim_identity,
    expected_identities,
    propose,
)

HOST: Final = "127.0.0.1"
SHARE: Final = "fluxshard_endpoint_share{"
READY_WITHIN_S: Final = 60.0
PORTS: Final = range(18000, 20000)
SERVED_BY: Final = {"FLUXSHARD_SERVED_BY": "true"}

Fill = Callable[[ShardMap, ShardId], Sequence[str]]
"""The statements that make tables and data of a shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """What a world is to be."""

    shards: int = 1
    replicas: int = 0
    """Of each shard. The catalog has as many."""
    instances: int = 1
    """Servers of Fluxshard, each on a port of its own."""
    workers: int = 1
    """Processes of each."""
    limit: Limit = field(default_factory=Unlimited)
    network: bool = False
    """A link before each server of a shard, to lose, cut and slow down what passes it."""
    delay_s: float = 0.0
    """By which replicas show commits later (`recovery_min_apply_delay`)."""
    durability: Durability | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """More settings of Fluxshard."""
    seed: int = 1

    def as_json(self) -> dict[str, Any]:
        """What a result says of it."""
        return {
            "shards": self.shards,
            "replicas": self.replicas,
            "instances": self.instances,
            "workers": self.workers,
            "limit": written(self.limit),
            "limit_in_words": str(self.limit),
            "delay_ms": self.delay_s * 1000,
            "settings": {
                name: value for name, value in self.settings.items() if "SECRET" not in name
            },
        }


@dataclass(frozen=True, slots=True)
class Instance:
    """A running server of Fluxshard."""

    port: int
    process: asyncio.subprocess.Process
    log: Path

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{HOST}:{self.port}"


@dataclass(slots=True)
class World:
    """A running world."""

    spec: WorldSpec
    cluster: EmbeddedCluster
    directory: Path
    shard_map: ShardMap
    """With the gates as its endpoints, where there are gates."""
    secret: str
    """Of the tokens."""
    gates: Gates | None
    network: Network | None = None
    instances: list[Instance] = field(default_factory=list)

    @property
    def ports(self) -> list[int]:
        """Of all instances."""
        return [instance.port for instance in self.instances]

    def token(self, tenant: int) -> str:
        """A token of somebody of the tenant, or of the service."""
        claims: dict[str, object] = {"exp": int(time.time()) + 86400}
        if tenant == SERVICE:
            return mint({**claims, "role": "service_role"}, self.secret)
        return mint({**claims, "role": "authenticated", "tenant_id": tenant}, self.secret)

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Process ids by part, for what each spends."""
        postgres = tuple(one.pid for one in self.cluster.servers() if one.pid is not None)
        parts = {
            "fluxshard": tuple(instance.process.pid for instance in self.instances),
            "postgresql": postgres,
        }
        if self.gates is not None:
            parts["limiting proxy"] = (self.gates.pid,)
        if self.network is not None:
            parts["network"] = (self.network.pid,)
        return parts

    def servers(self, shard: str = "shard_0") -> list[str]:
        """The names of a shard's servers, the primary first."""
        return [
            endpoint.name
            for one in self.cluster.endpoints().all
            if one.id == shard
            for endpoint in one.endpoints
        ]

    @asynccontextmanager
    async def superuser(self, server: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        """A session on a server, past its gate and past Fluxshard."""
        connection = await asyncpg.connect(self.cluster.url(server))
        try:
            yield connection
        finally:
            await connection.close()

    async def delay(self, seconds: float) -> None:
        """Let replicas of shards show commits so much later, from now on."""
        for shard in self.cluster.endpoints().shards:
            for replica in shard.replicas:
                async with self.superuser(replica.name) as connection:
                    await connection.execute(
                        f"ALTER SYSTEM SET recovery_min_apply_delay = '{round(seconds * 1000)}ms'"
                    )
                    await connection.execute("SELECT pg_reload_conf()")

    async def caught_up(self) -> None:
        """Return when every replica of a shard has all that is committed now."""
        for shard in self.cluster.endpoints().shards:
            async with self.superuser(shard.primary.name) as connection:
                lsn = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
                while not await connection.fetchval(
                    "SELECT coalesce(bool_and(replay_lsn >= $1::pg_lsn), true)"
                    " FROM pg_stat_replication WHERE application_name = ANY($2)",
                    lsn,
                    [replica.name for replica in shard.replicas],
                ):
                    await asyncio.sleep(0.05)

    async def start_instance(self) -> Instance:
        """One more server of Fluxshard, ready."""
        port = free_port()
        number = len(self.instances)
        log = self.directory / f"fluxshard-{number}.log"
        catalog = {
            name: value
            for name, value in self.cluster.environment().items()
            if "_SHARD_" not in name
        }
        environment = {
            **os.environ,
            **catalog,
            "FLUXBASE_AUTH_JWT_SECRET": self.secret,
            "FLUXBASE_SERVER_ADDRESS": f"{HOST}:{port}",
            "FLUXBASE_METRICS_PORT": "0",
            "FLUXSHARD_STATE_DIR": str(self.directory / f"state-{number}"),
            "FLUXSHARD_INSTANCES": str(self.spec.instances),
            **self.spec.settings,
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "server", "serve", "--workers", str(self.spec.workers)),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        instance = Instance(port, process, log)
        self.instances.append(instance)
        await _ready(instance)
        return instance


@asynccontextmanager
async def open_world(
    spec: WorldSpec,
    tables: Mapping[TableName, Placement],
    fill: Fill,
    progress: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[World]:
    """The world, ready: filled, replicas caught up, every instance serving."""
    async with AsyncExitStack() as stack:
        directory = await stack.enter_async_context(scratch(in_memory(), progress))
        progress(f"starting {spec.shards} shard(s) with {spec.replicas} replica(s) each")
        cluster = EmbeddedCluster(
            ClusterSpec(
                directory=directory / CLUSTER,
                shards=spec.shards,
                replicas=spec.replicas,
                listen=Sockets(),
                durability=spec.durability,
            )
        )
        stack.push_async_callback(cluster.destroy)
        await cluster.up()
        gates = None
        if isinstance(spec.limit, ServiceTime):
            gates = await stack.enter_async_context(
                opened_gates(cluster, directory / "gates", spec.limit, spec.seed)
            )
        network = None
        if spec.network:
            network = await stack.enter_async_context(open_network(_links(cluster)))
        shard_map = _map(cluster.endpoints(), tables, gates, network)
        world = World(
            spec, cluster, directory, shard_map, secrets.token_urlsafe(48), gates, network
        )
        progress("filling it")
        await _furnish(world, fill)
        await world.caught_up()
        if spec.delay_s:
            await world.delay(spec.delay_s)
        if isinstance(spec.limit, CpuQuota):
            await stack.enter_async_context(_quotas(world, spec.limit))
        stack.push_async_callback(_end, world)
        for _ in range(spec.instances):
            await world.start_instance()
        yield world


def open_for(
    spec: WorldSpec, workload: Workload, progress: Callable[[str], None] = lambda _: None
) -> AbstractAsyncContextManager[World]:
    """A world with a workload's tables and data."""
    return open_world(spec, workload.tables, workload.fill, progress)


def _map(
    endpoints: ClusterEndpoints,
    tables: Mapping[TableName, Placement],
    gates: Gates | None,
    network: Network | None,
) -> ShardMap:
    def gated(shard: Shard) -> Shard:
        if network is not None:
            return replace(
                shard,
                primary=network.through(shard.primary),
                replicas=tuple(map(network.through, shard.replicas)),
            )
        if gates is None:
            return shard
        return replace(
            shard,
            primary=replace(shard.primary, host=gates.host),
            replicas=tuple(replace(one, host=gates.host) for one in shard.replicas),
        )

    return ShardMap(
        cluster_id=str(uuid.uuid4()),
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: gated(shard) for shard in endpoints.shards},
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=propose({shard.id: 1 for shard in endpoints.shards}),
        tables=dict(tables),
    )


def _links(cluster: EmbeddedCluster) -> list[Link]:
    servers = [one for one in cluster.servers() if one.shard != CATALOG]
    ports = free_ports(len(servers))
    return [
        Link(server.name, port, server.host, server.port)
        for server, port in zip(servers, ports, strict=True)
    ]


async def _furnish(world: World, fill: Fill) -> None:
    """Roles, tables, data and identities on each shard, and the map in the catalog."""
    endpoints = world.cluster.endpoints()
    expected = expected_identities(world.shard_map)
    for shard, (_, identity) in zip(endpoints.all, expected, strict=True):
        async with world.superuser(shard.primary.name) as connection:
            await prepare_database(connection)
            if shard.id == CATALOG:
                await CatalogSource(connection).apply(
                    world.shard_map, expected_epoch=0, author="bench", reason="bench"
                )
            else:
                for statement in fill(world.shard_map, shard.id):
                    await connection.execute(statement)
                await connection.execute("CHECKPOINT")
            await claim_identity(connection, identity.cluster_id, identity.shard_id)


async def _ready(instance: Instance) -> None:
    """Wait until it answers, and gives every replica its whole share.

    A replica that was not up when the server first looked begins with a slow start of its own.
    """
    async with aiohttp.ClientSession() as session:
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until and instance.process.returncode is None:
            try:
                async with session.get(f"{instance.url}/ready") as response:
                    ready = response.status == 200
                async with session.get(f"{instance.url}/metrics") as response:
                    response.raise_for_status()
                    lines = (await response.text()).splitlines()
                shares = [line.rsplit(" ", 1)[1] for line in lines if line.startswith(SHARE)]
                if ready and all(float(share) == 1 for share in shares):
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise WorldFailed(f"a server of Fluxshard did not start:\n{instance.log.read_text()[-3000:]}")


async def _end(world: World) -> None:
    """End the servers of Fluxshard that are left."""
    for instance in world.instances:
        if instance.process.returncode is None:
            instance.process.terminate()
    for instance in world.instances:
        await instance.process.wait()


@asynccontextmanager
async def _quotas(world: World, quota: CpuQuota) -> AsyncIterator[None]:
    with limited(_shard_servers(world), quota.share):
        yield


def _shard_servers(world: World) -> Iterable[tuple[str, int]]:
    for server in world.cluster.servers():
        if server.shard != CATALOG and server.pid is not None:
            yield server.name, server.pid


def free_port() -> int:
    """A port that nobody listens on, below the ephemeral ones."""
    for _ in range(200):
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise WorldFailed(f"no free port between {PORTS.start} and {PORTS.stop}")
