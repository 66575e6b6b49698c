"""How real reads spread over replicas: evenly, slowly to one that returns, away from a frozen one."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from router import HedgeAfter, ReplicaChoice
from shardmap import ShardId

SHARD = ShardId("shard_0")
B, C = "shard_0-b", "shard_0-c"
COUNT = "SELECT count(*) FROM notes"


async def reads(world, count, clients):
    """So many reads by clients that ask one after the other; who answered how many."""
    served, left = Counter(), iter(range(count))

    async def client(number):
        for _ in left:
            reply = await world.read(COUNT, session=f"r{number}")
            served[reply.served.endpoint] += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(client(number))
    return served


@pytest.mark.parametrize("policy", ReplicaChoice)
async def test_equal_replicas_answer_equally_many(make_world, policy):
    """Within 5 percent; what a busy machine does to one of them for a while is made up for."""
    world = await make_world(choice=policy)

    served = Counter()
    async with asyncio.timeout(40):
        while served.total() < 1000 or abs(served[B] - served[C]) > 0.05 * served.total():
            served += await reads(world, 500, clients=2)

    assert served.keys() == {B, C}


async def test_a_replica_that_was_killed_returns_by_a_slow_start(disposable_open, until):
    world = await disposable_open(slow_start_s=60.0)
    assert {world.endpoint(one).share for one in (B, C)} == {1.0}

    await world.cluster.kill(B)
    await until(lambda: world.endpoint(B).state == "down")
    await world.cluster.start(B)
    await until(lambda: world.endpoint(B).state == "replica")
    served = await reads(world, 300, clients=1)

    assert world.endpoint(B).share < 1.0
    assert 0 < served[B] < 0.5 * served[C]
    assert world.endpoint(C).share == 1.0


async def test_reads_on_a_replica_that_freezes_are_hedged_before_anybody_knows(disposable_open):
    """No probe has failed and no read was given up when the other replica has answered them all."""
    world = await disposable_open(
        hedge_after=HedgeAfter(seconds=0.02),
        hedge_share=1.0,
        probe_interval_s=3600.0,
        probe_timeout_s=3600.0,
        proof_age_s=3600.0,
        abandon_after_s=3600.0,
    )
    await reads(world, 20, clients=4)

    with world.frozen(B):
        served = await reads(world, 40, clients=4)

    assert served == {C: 40}
    assert world.endpoint(B).state == "replica"


async def test_reads_stay_in_the_zone_while_its_replica_is_well(make_world):
    world = await make_world(zone="here")
    shard = world.shard_map.shards[SHARD]
    zoned = tuple(replace(one, zone="here" if one.name == C else "there") for one in shard.replicas)
    shards = {**world.shard_map.shards, SHARD: replace(shard, replicas=zoned)}
    await world.backends.adopt(replace(world.shard_map, epoch=2, shards=shards))

    assert await reads(world, 50, clients=1) == {C: 50}
