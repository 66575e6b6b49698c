"""The demonstration's cluster and API server, from nothing to ready and back."""

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from router import prepare_database
from server.auth import mint
from server.demo.errors import NoPort, ServerEnded
from server.demo.loading import Loaded, Loading, demo_map, load_catalog, script
from server.demo.place import cluster_in, demo_place
from server.demo.screen import Screen
from server.embedded import ClusterSpec, EmbeddedCluster, Tcp
from server.parent import end_with_parent
from shardmap import CATALOG, CatalogSource, ShardId, ShardMap, claim_identity, expected_identities

READY_WITHIN_S: Final = 40.0
_KEY_DAYS: Final = 30
_PORTS_TRIED: Final = 20
_CLUSTER_PORTS: Final = range(15400, 32000, 100)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    directory: Path
    port: int
    shards: int
    replicas: int
    workers: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A running demonstration."""

    url: str
    cluster: EmbeddedCluster
    loaded: Loaded
    secret: str
    log: Path
    process: asyncio.subprocess.Process

    def key(self, role: str, tenant: int | None = None) -> str:
        """An API key: a token that the server accepts."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": "fluxbase",
            "role": role,
            "iat": now,
            "exp": now + _KEY_DAYS * 86400,
        }
        if tenant is not None:
            claims |= {"tenant_id": tenant, "sub": f"user-of-{tenant}"}
        return mint(claims, self.secret)

    def two_tenants(self) -> tuple[int, int]:
        """The largest tenant, and the largest that lives elsewhere (or the next, on one shard)."""
        orders = self.loaded.orders
        first, *others = sorted(orders, key=lambda tenant: -orders[tenant])
        elsewhere = (t for t in others if self.loaded.home(t) != self.loaded.home(first))
        return first, next(elsewhere, others[0])


@asynccontextmanager
async def open_stage(options: Options, screen: Screen) -> AsyncIterator[Stage]:
    """Cluster, data and API server, in order; taken down in reverse, whatever happens."""
    async with demo_place(options.directory) as directory:
        spec = ClusterSpec(
            directory=cluster_in(directory),
            shards=options.shards,
            replicas=options.replicas,
            listen=Tcp(_free_base_port(options)),
        )
        servers = (options.shards + 1) * (options.replicas + 1)
        screen.step(f"starting {servers} PostgreSQL servers in {directory}")
        async with _cluster(spec, screen) as cluster:
            loaded = await _load(cluster, screen)
            log = directory / "server.log"
            secret = secrets.token_urlsafe(48)
            port = _free_port(options.port)
            environment = _environment(cluster, directory, secret, port)
            screen.step(f"starting the API server with {options.workers} workers")
            async with _server(environment, options.workers, log) as process:
                url = f"http://127.0.0.1:{port}"
                await _ready(url, process, log)
                yield Stage(url, cluster, loaded, secret, log, process)


@asynccontextmanager
async def _cluster(spec: ClusterSpec, screen: Screen) -> AsyncIterator[EmbeddedCluster]:
    cluster = EmbeddedCluster(spec)
    try:
        await cluster.up(lambda text: screen.step(f"  {text}"))
        yield cluster
    finally:
        await cluster.destroy()


async def _load(cluster: EmbeddedCluster, screen: Screen) -> Loaded:
    endpoints = cluster.endpoints()
    shard_map = demo_map(endpoints)
    connections = {
        shard.id: await asyncpg.connect(cluster.url(shard.primary.name)) for shard in endpoints.all
    }
    try:
        screen.step("making tables, policies and roles on every shard")
        async with asyncio.TaskGroup() as tasks:
            for shard, connection in connections.items():
                tasks.create_task(_prepare(connection, catalog=shard == CATALOG))
        catalog = connections[CATALOG]
        shards = {shard: each for shard, each in connections.items() if shard != CATALOG}
        await _register(shard_map, catalog, shards)
        await load_catalog(catalog)
        rows = Loading(shard_map, lambda done, total: screen.bar("rows", done, total))
        return await rows.run(shards)
    finally:
        for connection in connections.values():
            await connection.close()


async def _prepare(connection: asyncpg.Connection, *, catalog: bool) -> None:
    await prepare_database(connection)
    await connection.execute(script("catalog.sql" if catalog else "schema.sql"))


async def _register(
    shard_map: ShardMap,
    catalog: asyncpg.Connection,
    connections: Mapping[ShardId, asyncpg.Connection],
) -> None:
    """The first map, and on each primary the name of the shard that it is."""
    await CatalogSource(catalog).apply(
        shard_map, expected_epoch=0, author="demo", reason="the demonstration's first map"
    )
    for _, identity in expected_identities(shard_map):
        connection = catalog if identity.shard_id == CATALOG else connections[identity.shard_id]
        await claim_identity(connection, identity.cluster_id, identity.shard_id)


def _environment(
    cluster: EmbeddedCluster, directory: Path, secret: str, port: int
) -> dict[str, str]:
    return {
        **os.environ,
        **cluster.environment(),
        "FLUXBASE_AUTH_JWT_SECRET": secret,
        "FLUXBASE_SERVER_ADDRESS": f"127.0.0.1:{port}",
        "FLUXBASE_METRICS_PORT": str(_free_port(port + 1)),
        "FLUXSHARD_SERVED_BY": "true",
        "FLUXSHARD_STATE_DIR": str(directory / "state"),
    }


@asynccontextmanager
async def _server(
    environment: Mapping[str, str], workers: int, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The API server as a process of its own, which ends with this one, even if that is killed."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "server",
            "serve",
            "--workers",
            str(workers),
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Waits until the server says it is ready.

    Raises:
        ServerEnded: It ended, or did not become ready in time.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise ServerEnded(f"the API server ended at its start:\n{_tail(log)}")
            try:
                async with session.get(f"{url}/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise ServerEnded(f"the API server was not ready in {READY_WITHIN_S:.0f} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _free_port(first: int) -> int:
    for port in range(first, first + _PORTS_TRIED):
        if _free(port):
            return port
    raise NoPort(f"ports {first} to {first + _PORTS_TRIED - 1} are taken; name another with --port")


def _free_base_port(options: Options) -> int:
    """The first of a run of free ports, one for each server."""
    count = (options.shards + 1) * (options.replicas + 1)
    for base in _CLUSTER_PORTS:
        if all(_free(port) for port in range(base, base + count)):
            return base
    raise NoPort("no run of free ports for the PostgreSQL servers was found")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
