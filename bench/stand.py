"""What a single benchmark stands on: a world of points with one instance, as few names."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench.workloads import TABLE, Size, workload
from bench.world import World, WorldSpec, open_world
from server.embedded import EmbeddedCluster
from shardmap import Sharded, ShardId, ShardMap

POINTS_PER_TENANT: Final = 5_000

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


@asynccontextmanager
async def open_stand(
    workers: int, replicas: int = 0, *, rls: bool = False, shards: int = 1, fill: Fill | None = None
) -> AsyncIterator[Stand]:
    """Shards (and a catalog) in memory, and `fluxshard serve` with that many workers.

    `rls`: row level security holds tenants to their points. `fill`: other points than usual.
    """
    points = workload("point-read", Size(rows=POINTS_PER_TENANT))

    def statements(shard_map: ShardMap, shard: ShardId) -> tuple[str, ...]:
        own = (
            tuple(points.fill(shard_map, shard))
            if fill is None
            else tuple(fill(shard_map, shard).strip().split(";\n"))
        )
        return (*own, *(POLICY if rls else ()))

    spec = WorldSpec(shards=shards, replicas=replicas, workers=workers)
    async with open_world(spec, {TABLE: Sharded("tenant_id")}, statements) as world:
        yield Stand(world, world.token(7))
