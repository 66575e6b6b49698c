"""What a benchmark stands on: one primary with a table of points, and the API before it."""

import asyncio
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from router import prepare_database
from server.auth import mint
from server.embedded import ClusterSpec, EmbeddedCluster, Sockets
from shardmap import (
    CATALOG,
    CatalogSource,
    KeyType,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    claim_identity,
    expected_identities,
    propose,
)

TENANTS = 20
POINTS_PER_TENANT = 5_000
TABLE = f"""
CREATE TABLE points (
    tenant_id integer NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
INSERT INTO points
SELECT t, n, 'point ' || n, n / 7.0, now()
FROM generate_series(1, {TENANTS}) t, generate_series(1, {POINTS_PER_TENANT}) n;
GRANT ALL ON points TO authenticated, service_role;
VACUUM (ANALYZE) points;
"""

POLICY = """
ALTER TABLE points ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON points USING (
    tenant_id = (current_setting('request.jwt.claims', true)::json ->> 'tenant_id')::int
);
"""


Fill = Callable[[ShardMap, ShardId], str]
"""The SQL that makes the table `points` on a shard, one statement to a line's end."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A running server with its cluster."""

    cluster: EmbeddedCluster
    port: int
    key: str
    secret: str
    server_pid: int

    @property
    def postgres_pids(self) -> tuple[int, ...]:
        """The postmaster of the shard."""
        pid = self.cluster.server("shard_0-a").pid
        return (pid,) if pid is not None else ()


@asynccontextmanager
async def open_stand(
    workers: int, replicas: int = 0, *, rls: bool = False, shards: int = 1, fill: Fill | None = None
) -> AsyncIterator[Stand]:
    """Shards (and a catalog) in memory, and `fluxshard serve` with that many workers.

    `rls`: row level security holds tenants to their points. `fill`: other points than usual.
    """
    parent = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
    directory = parent / f"fluxshard-bench-{os.getpid()}"
    directory.mkdir(mode=0o711)
    spec = ClusterSpec(
        directory=directory / "cluster", shards=shards, replicas=replicas, listen=Sockets()
    )
    cluster = EmbeddedCluster(spec)
    try:
        await cluster.up()
        await _load(cluster, fill or (lambda *_: TABLE), rls=rls)
        secret = secrets.token_urlsafe(48)
        port = _free_port()
        environment = {
            **os.environ,
            **cluster.environment(),
            "FLUXBASE_AUTH_JWT_SECRET": secret,
            "FLUXBASE_SERVER_ADDRESS": f"127.0.0.1:{port}",
            "FLUXBASE_METRICS_ENABLED": "false",
            "FLUXSHARD_STATE_DIR": str(directory / "state"),
        }
        with (directory / "server.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "server", "serve", "--workers", str(workers)),
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            await _ready(port, process, directory / "server.log")
            claims = {"role": "authenticated", "tenant_id": 7, "exp": int(time.time()) + 86400}
            yield Stand(cluster, port, mint(claims, secret), secret, process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
    finally:
        await cluster.destroy()
        shutil.rmtree(directory)


async def _load(cluster: EmbeddedCluster, fill: Fill, *, rls: bool) -> None:
    endpoints = cluster.endpoints()
    shard_map = ShardMap(
        cluster_id=str(uuid.uuid4()),
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: shard for shard in endpoints.shards},
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=propose({shard.id: 1 for shard in endpoints.shards}),
        tables={TableName("public.points"): Sharded("tenant_id")},
    )
    for shard, (_, identity) in zip(endpoints.all, expected_identities(shard_map), strict=True):
        connection = await asyncpg.connect(cluster.url(shard.primary.name))
        await prepare_database(connection)
        if shard.id == CATALOG:
            await CatalogSource(connection).apply(
                shard_map, expected_epoch=0, author="bench", reason="bench"
            )
        else:
            for statement in fill(shard_map, shard.id).strip().split(";\n"):
                await connection.execute(statement)
            if rls:
                await connection.execute(POLICY)
        await claim_identity(connection, identity.cluster_id, identity.shard_id)
        await connection.close()


async def _ready(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(300):
            if process.returncode is not None:
                break
            try:
                async with session.get(f"http://127.0.0.1:{port}/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit(f"the server did not start:\n{log.read_text()[-3000:]}")


def _free_port() -> int:
    for port in range(18000, 18100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise SystemExit("no free port from 18000 on")
