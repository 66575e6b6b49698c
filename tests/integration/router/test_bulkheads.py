"""A shard that hangs and a tenant that floods: what they keep from others, which is nothing."""

import asyncio
from collections import Counter

import pytest_asyncio

from router import PoolQueueFull, RouterError

HANGS, SPARED = "shard_0", "shard_1"
CONNECTIONS, ROOM = 2, 10


@pytest_asyncio.fixture
async def world(disposable_cluster, open_world):
    """Two shards without replicas, whose probes never notice anything within a test."""
    cluster = await disposable_cluster(shards=2, replicas=0)
    return await open_world(
        cluster,
        "fluxbase",
        max_connections=CONNECTIONS,
        queue_length=ROOM,
        acquire_timeout_s=60,
        proof_age_s=600,
        probe_timeout_s=600,
        abandon_after_s=600,
    )


def write(world, shard, tenant, seconds=60):
    who = world.asker(tenant=tenant, seconds=seconds)
    return world.backends.run(shard, world.writing("SELECT 1"), who)


async def outcome(work):
    try:
        await work
    except RouterError as error:
        return type(error)
    return None


def pool(world, shard):
    return world.status(shard).endpoints[0]


async def test_a_shard_that_hangs_holds_a_bounded_number_of_requests_and_none_of_others(
    world, until
):
    for shard in (HANGS, SPARED):  # connections are open before anything hangs
        await asyncio.gather(*(write(world, shard, str(number)) for number in range(4)))
    with world.frozen(pool(world, HANGS).endpoint):
        stuck = [
            asyncio.create_task(outcome(write(world, HANGS, str(number % 50))))
            for number in range(300)
        ]
        await until(lambda: sum(task.done() for task in stuck) == 300 - CONNECTIONS - ROOM)
        refused = Counter(task.result() for task in stuck if task.done())
        others = await asyncio.gather(
            *(outcome(write(world, SPARED, str(number % 50))) for number in range(ROOM))
        )
        waiting = pool(world, HANGS).waiting

    assert refused == {PoolQueueFull: 300 - CONNECTIONS - ROOM}
    assert (others, waiting) == ([None] * ROOM, ROOM)
    assert {await task for task in stuck if not task.done()} <= {None}


async def test_a_flood_of_one_tenant_turns_away_none_but_its_own(world, until):
    async with world.superuser(pool(world, SPARED).endpoint) as other:
        lock = "SELECT pg_advisory_lock(7)"
        await other.execute(lock)
        blocked = world.writing("SELECT pg_advisory_xact_lock_shared(7)")
        holders = [
            asyncio.create_task(world.backends.run(SPARED, blocked, world.asker(tenant="flood")))
            for _ in range(CONNECTIONS)
        ]
        await until(lambda: pool(world, SPARED).in_flight == CONNECTIONS)
        flood = [asyncio.create_task(outcome(write(world, SPARED, "flood"))) for _ in range(50 * 5)]
        await until(lambda: pool(world, SPARED).waiting == ROOM)
        others = [asyncio.create_task(outcome(write(world, SPARED, tenant))) for tenant in "abcde"]
        await until(lambda: sum(task.done() for task in flood) == 250 - ROOM + len(others))
        await other.execute("SELECT pg_advisory_unlock(7)")
        found = [Counter(await asyncio.gather(*tasks)) for tasks in (flood, others)]
        await asyncio.gather(*holders)

    assert found == [
        {PoolQueueFull: 250 - ROOM + len(others), None: ROOM - len(others)},
        {None: len(others)},
    ]
