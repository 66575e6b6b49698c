"""One whole server (two workers) on a cluster that the tests break, with clients at work.

world (function)
    A `World`: the cluster (catalog and two shards, two replicas each), the API server, and what
    it takes to break and mend them. All tests share one; each finds it whole. Roles change by
    promotion, so ask `world.primary(shard)`.
steady (function)
    `async with steady.at_work():` lets the sessions of `steady.py` read and write; three live on
    `shard_0`, which tests attack, one on `shard_1`. After each test everything is mended, and what
    is in the tables is compared with what the clients were told.
session (function)
    `session(shard, table="entries")` makes one more such session, for single requests.
http (function)
    An `aiohttp.ClientSession` that opens a connection for each request.
"""

import asyncio
import importlib.util
import itertools
import os
import secrets
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from router import BackendSettings, prepare_database
from server.auth import mint
from server.embedded import ClusterSpec, EmbeddedCluster, Tcp
from server.parent import end_with_parent
from shardmap import (
    CATALOG,
    CatalogSource,
    Global,
    KeyType,
    Sharded,
    ShardMap,
    TableName,
    claim_identity,
    expected_identities,
    propose,
)

ATTACKED, SPARED = "shard_0", "shard_1"
TABLES = ("entries", "guarded_entries", "events")
SECRET = secrets.token_urlsafe(48)
WORKERS = 2
REQUEST_TIMEOUT_S = 6
DETECTION = BackendSettings()
DETECTED_WITHIN_S = 2 * (
    DETECTION.abandon_after_s + DETECTION.probe_interval_s + DETECTION.probe_timeout_s
)
"""What takes longest to notice is a server that has gone silent. Twice, on a busy machine."""

SCHEMA = """
CREATE TABLE entries (
    tenant_id int, author text, number int, part int,
    PRIMARY KEY (tenant_id, author, number, part)
);
CREATE TABLE guarded_entries (LIKE entries INCLUDING ALL);
ALTER TABLE guarded_entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded_entries USING (tenant_id = auth.tenant()::int);
CREATE TABLE events (tenant_id int, id bigint GENERATED ALWAYS AS IDENTITY, author text, number int,
    PRIMARY KEY (tenant_id, id));  -- in which a write that is done twice shows
GRANT ALL ON entries, guarded_entries, events TO authenticated, service_role;
"""
CATALOG_SCHEMA = """
CREATE TABLE plans (id int PRIMARY KEY);
INSERT INTO plans VALUES (1);
GRANT ALL ON plans TO service_role;
"""


def _load(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"adversity_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


clients = _load("steady")
World = _load("world").World


def free_ports(count):
    """The first of so many free ports in a row, below the ephemeral ones."""
    for base in range(30000, 32700, count):
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError("no ports are free")


async def _furnish(cluster):
    """Tables, roles and identities on every shard, and the map in the catalog; the map."""
    endpoints = cluster.endpoints()
    shard_map = ShardMap(
        cluster_id="c-adversity",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: shard for shard in endpoints.shards},
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=propose({shard.id: 1 for shard in endpoints.shards}),
        tables={
            TableName("public.plans"): Global(),
            **{TableName(f"public.{table}"): Sharded("tenant_id") for table in TABLES},
        },
    )
    for primary, identity in expected_identities(shard_map):
        connection = await asyncpg.connect(cluster.url(primary.name))
        try:
            await prepare_database(connection)
            await claim_identity(connection, identity.cluster_id, identity.shard_id)
            if identity.shard_id == CATALOG:
                await connection.execute(CATALOG_SCHEMA)
                source = CatalogSource(connection)
                await source.apply(shard_map, expected_epoch=0, author="test", reason="first")
            else:
                await connection.execute(SCHEMA)
        finally:
            await connection.close()
    return shard_map


@contextmanager
def _serving(environment, log):
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "server", "serve", "--workers", str(WORKERS)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - no threads are running here
        )
    try:
        yield server
    finally:
        server.terminate()
        server.wait()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_world(clusters_directory):
    """The world that all tests of this folder break and mend."""
    servers = 9
    base_port = free_ports(servers + 1)
    spec = ClusterSpec(
        directory=clusters_directory / "adversity", shards=2, replicas=2, listen=Tcp(base_port)
    )
    cluster = EmbeddedCluster(spec)
    log = clusters_directory / "adversity.log"
    address = f"127.0.0.1:{base_port + servers}"
    try:
        await cluster.up()
        shard_map = await _furnish(cluster)
        environment = {
            "PATH": os.environ["PATH"],
            **cluster.environment(),
            "FLUXBASE_AUTH_JWT_SECRET": SECRET,
            "FLUXBASE_SERVER_ADDRESS": address,
            "FLUXBASE_METRICS_ENABLED": "false",
            "FLUXSHARD_WRITE_HOLD": "1s",
            "FLUXSHARD_REQUEST_TIMEOUT": f"{REQUEST_TIMEOUT_S}s",
            "FLUXSHARD_SERVED_BY": "true",
            "FLUXSHARD_STATE_DIR": str(clusters_directory / "adversity-state"),
            "FLUXSHARD_DRAIN_DELAY": "0",
        }
        with _serving(environment, log) as server:
            world = World(cluster, server, f"http://{address}", log, shard_map)
            async with _client() as http:
                await world.mend(http)
            yield world
    finally:
        await cluster.destroy()


def _client():
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))


@pytest_asyncio.fixture
async def http():
    async with _client() as client:
        yield client


@pytest_asyncio.fixture
async def world(shared_world, http):
    yield shared_world
    await shared_world.mend(http)


@pytest.fixture
def session(world):
    def make(shard=ATTACKED, table="entries", tenant=None):
        name = f"user-{secrets.token_hex(4)}"
        tenant = tenant if tenant is not None else next(world.tenants(shard))
        claims = {"role": "authenticated", "tenant_id": tenant, "sub": name}
        return clients.Session(name, tenant, shard, table, mint(claims, SECRET), world.url)

    return make


@pytest.fixture
def keyed(session):
    """Clients that repeat each write under its key until it succeeds, at work: `async with`."""

    @asynccontextmanager
    async def at_work(count=3):
        writers = [clients.KeyedWriter(session(table="events")) for _ in range(count)]
        stopping = asyncio.Event()
        async with _client() as http, asyncio.TaskGroup() as tasks:
            for writer in writers:
                tasks.create_task(writer.go_on(http, stopping))
            yield writers
            stopping.set()

    return at_work


@pytest.fixture
def service():
    """The header of the service key."""
    return {"Authorization": f"Bearer {mint({'role': 'service_role'}, SECRET)}"}


@pytest_asyncio.fixture
async def steady(world, http, session, request):
    first, second = itertools.islice(world.tenants(ATTACKED), 2)
    steady = clients.Steady(
        (
            session(tenant=first),
            session(tenant=first, table="guarded_entries"),
            session(tenant=second),
            session(SPARED),
        )
    )
    yield steady
    await world.mend(http)
    request.node.add_report_section("teardown", "clients", str(steady))
    wrong = steady.violations()
    for one in steady.sessions:
        wrong += one.judge(await world.rows(one))
    assert wrong == []
    assert steady.longest_outage_s() <= DETECTED_WITHIN_S
