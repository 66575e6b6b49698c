"""What a single benchmark stands on: a world of points with one instance, as few names."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.limits import Limit, Unlimited
from bench.workloads import TABLE, Size, workload
from bench.world import World, WorldSpec, open_world
from server.embedded import EmbeddedCluster
from shardmap import Sharded, ShardId, ShardMap

POINTS_PER_TENANT: Final = 5_000
NO_LIMIT: Final = Unlimited()

POLICY: Final = (
    "ALTER TABLE points ENABLE ROW LEVEL SECURITY",
    """CREATE POLICY own ON points USING (
        tenant_id = (current_setting('request.jwt.claims', true)::json ->> 'tenant_id')::int
    )""",
)

Fill = Callable[[ShardMap, ShardId], str]
"""The SQL that makes the table `points` on a shard, one statement to a line's end."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A running server with its cluster."""

    world: World
    key: str
    """Of a user of tenant 7."""

    @property
    def cluster(self) -> EmbeddedCluster:
        """The servers of PostgreSQL."""
        return self.world.cluster

    @property
    def port(self) -> int:
        """Of the API."""
        return self.world.ports[0]

    @property
    def secret(self) -> str:
        """Of its tokens."""
        return self.world.secret

    @property
    def server_pid(self) -> int:
        """The process of Fluxshard."""
        return self.world.instances[0].process.pid

    @property
    def postgres_pids(self) -> tuple[int, ...]:
        """The postmasters."""
        return self.world.parts()["postgresql"]

    @property
    def worker_pid(self) -> int:
        """The first worker of the server: a process of its own, or the server itself."""
        path = Path(f"/proc/{self.server_pid}/task/{self.server_pid}/children")
        children = path.read_text().split()
        return int(children[0]) if children else self.server_pid

    def way_to(self, server: str) -> str:
        """The directory of the socket by which Fluxshard reaches a server."""
        gates = self.world.gates
        return self.cluster.server(server).host if gates is None else gates.host


@asynccontextmanager
async def open_stand(  # noqa: PLR0913 - what may be different of it
    workers: int,
    replicas: int = 0,
    *,
    rls: bool = False,
    shards: int = 1,
    fill: Fill | None = None,
    limit: Limit = NO_LIMIT,
) -> AsyncIterator[Stand]:
    """Shards (and a catalog) in memory, and `fluxshard serve` with that many workers.

    `rls`: row level security holds tenants to their points. `fill`: other points than usual.
    `limit`: of each shard's servers.
    """
    points = workload("point-read", Size(rows=POINTS_PER_TENANT))

    def statements(shard_map: ShardMap, shard: ShardId) -> tuple[str, ...]:
        own = (
            tuple(points.fill(shard_map, shard))
            if fill is None
            else tuple(fill(shard_map, shard).strip().split(";\n"))
        )
        return (*own, *(POLICY if rls else ()))

    spec = WorldSpec(shards=shards, replicas=replicas, workers=workers, limit=limit)
    async with open_world(spec, {TABLE: Sharded("tenant_id")}, statements) as world:
        yield Stand(world, world.token(7))
