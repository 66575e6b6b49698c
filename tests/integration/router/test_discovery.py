"""Replicas that no map names, and replicas that come and go, while clients read without a pause."""

import asyncio
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from router import Discovered, ReplicaDiscovered
from shardmap import Durability, ShardId

SHARD = ShardId("shard_0")
NAMED, UNNAMED = "shard_0-b", "shard_0-c"
QUICK = {"discover": True, "discover_interval_s": 0.1, "discover_again_s": 0.3}


def with_replicas(shard_map, names):
    """The map with only these replicas of the shard."""
    shard = shard_map.shards[SHARD]
    kept = tuple(one for one in shard.replicas if one.name in names)
    changed = {**shard_map.shards, SHARD: replace(shard, replicas=kept)}
    return replace(shard_map, epoch=shard_map.epoch + 1, shards=changed)


def names(world):
    return {one.endpoint for one in world.status().endpoints}


def told(world, outcome):
    return [one for one in world.observed(ReplicaDiscovered) if one.outcome is outcome]


class Reading:
    """Clients that read all the time; not one read may fail."""

    def __init__(self, world):
        self.world = world
        self.served = []
        self._tasks = []

    async def _read(self, client):
        while True:
            reply = await self.world.read("SELECT count(*) FROM notes", session=f"r{client}")
            self.served.append(reply.served.endpoint)
            await asyncio.sleep(0.001)

    @asynccontextmanager
    async def at_work(self):
        self._tasks = [asyncio.create_task(self._read(client)) for client in range(4)]
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert [one for one in ended if not isinstance(one, asyncio.CancelledError)] == []

    async def by(self, endpoint):
        """Wait until it has answered some reads from now on."""
        begun = len(self.served)
        async with asyncio.timeout(20):
            while self.served[begun:].count(endpoint) < 5:
                assert not any(task.done() for task in self._tasks)
                await asyncio.sleep(0.005)

    async def some(self, count=50):
        begun = len(self.served)
        async with asyncio.timeout(20):
            while len(self.served) < begun + count:
                assert not any(task.done() for task in self._tasks)
                await asyncio.sleep(0.005)
        return set(self.served[begun:])


async def names_its_port(cluster, server, port=None, host=""):
    """Let the standby's application_name say where it listens, as operators would."""
    session = await asyncpg.connect(cluster.url(server, "postgres"))
    try:
        conninfo = await session.fetchval("SELECT current_setting('primary_conninfo')")
        port = port or await session.fetchval("SELECT current_setting('port')")
        told = conninfo.replace(server, f"{server}@{host}:{port}").replace("'", "''")
        await session.execute(f"ALTER SYSTEM SET primary_conninfo = '{told}'")
        await session.execute("SELECT pg_reload_conf()")
    finally:
        await session.close()
    return f"shard_0@:{port}"


@pytest.fixture
def open_partly(disposable_cluster, open_world):
    """A world whose map names one of the two replicas."""

    async def make(**settings):
        cluster = await disposable_cluster(durability=Durability.ASYNC)
        world = await open_world(cluster, "fluxbase", **{**QUICK, **settings})
        await world.backends.adopt(with_replicas(world.shard_map, {NAMED}))
        return world

    return make


async def test_a_standby_that_says_where_it_listens_is_found_used_and_forgotten(open_partly, until):
    world = await open_partly(forget_after_s=0.5)
    assert names(world) == {world.PRIMARY, NAMED}
    (silent,) = await until(lambda: told(world, Discovered.REFUSED))
    assert "has to name its port" in silent.detail

    found = await names_its_port(world.cluster, UNNAMED)
    reading = Reading(world)
    async with reading.at_work():
        await until(lambda: found in names(world))
        await reading.by(found)
        assert world.endpoint(found).state == "replica"
        await world.cluster.kill(UNNAMED)
        await until(lambda: found not in names(world))
        assert found not in await reading.some()
        await world.cluster.start(UNNAMED)
        await reading.by(found)

    outcomes = [one.outcome for one in world.observed(ReplicaDiscovered) if one.endpoint == found]
    assert outcomes == [Discovered.FOUND, Discovered.GONE, Discovered.FOUND]


async def test_a_replica_of_the_map_under_another_address_is_not_used_twice(open_partly, until):
    world = await open_partly()

    found = await names_its_port(world.cluster, UNNAMED)
    await until(lambda: found in names(world))
    reading = Reading(world)
    async with reading.at_work():
        await world.backends.adopt(world.shard_map)
        await reading.by(UNNAMED)

    assert names(world) == {world.PRIMARY, NAMED, UNNAMED}


async def test_a_member_that_is_found_by_another_name_of_its_host_is_known(open_partly, until):
    world = await open_partly()
    sockets = world.shard_map.shards[SHARD].primary.host
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        alias = Path(directory) / "s"
        alias.symlink_to(sockets)
        await names_its_port(world.cluster, NAMED, host=alias)

        (known,) = await until(lambda: told(world, Discovered.KNOWN))

    assert known.detail == f"it is {NAMED}"
    assert names(world) == {world.PRIMARY, NAMED}


async def test_what_is_no_replica_of_the_shard_is_said_and_never_used(open_partly, until):
    world = await open_partly()
    other = world.cluster.endpoints("fluxbase").catalog.primary

    await names_its_port(world.cluster, UNNAMED, other.port)

    refused = await until(
        lambda: [one for one in told(world, Discovered.REFUSED) if "@:" in one.endpoint]
    )
    assert f"@:{other.port}" in refused[0].endpoint
    assert names(world) == {world.PRIMARY, NAMED}


async def test_found_replicas_stay_while_their_primary_is_away(open_partly, until):
    world = await open_partly(forget_after_s=0.5)
    found = await names_its_port(world.cluster, UNNAMED)
    await until(lambda: found in names(world) and world.endpoint(found).state == "replica")

    reading = Reading(world)
    async with reading.at_work():
        await world.cluster.kill(world.PRIMARY)
        await until(lambda: world.endpoint(world.PRIMARY).state == "down")
        await reading.by(found)
        await reading.some(200)

    assert found in names(world)


async def test_replicas_come_and_go_with_maps_and_no_read_is_lost(world):
    reading = Reading(world)
    async with reading.at_work():
        shard_map = world.shard_map
        for kept in ({NAMED}, {NAMED, UNNAMED}, {UNNAMED}, set(), {NAMED, UNNAMED}) * 2:
            shard_map = replace(with_replicas(world.shard_map, kept), epoch=shard_map.epoch + 1)
            await world.backends.adopt(shard_map)
            await reading.some(20)  # those that were on their way
            assert await reading.some() <= (kept or {world.PRIMARY})
