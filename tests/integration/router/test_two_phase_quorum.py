"""Commits on two shards while no standby of one of them confirms anything."""

from contextlib import ExitStack

import pytest

from router import CommitUnfinished, CommitUnknown, DeadlineExceeded, Part, Step, Together
from shardmap import ShardId

A, B = ShardId("shard_0"), ShardId("shard_1")
INSERT = "INSERT INTO notes (id) VALUES (1)"
PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"


@pytest.fixture
async def two(disposable_cluster, open_world):
    cluster = await disposable_cluster(shards=2, replicas=1)
    return await open_world(cluster, "fluxbase", recovery_age_s=0.3, recovery_interval_s=0.05)


async def write(world, seconds):
    parts = tuple(Part(shard, world.writing(INSERT)) for shard in (A, B))
    who = world.asker("service_role", seconds=seconds)
    return await world.backends.run_together(Together(parts), who)


async def everywhere(world, sql):
    found = []
    for server in ("shard_0-a", "shard_1-a"):
        async with world.superuser(server) as connection:
            found.append([tuple(row) for row in await connection.fetch(sql)])
    return found


async def settled(world):
    """The rows of both shards, once nothing is prepared any more and both have the same."""
    found = []

    async def equal():
        nonlocal found
        if await everywhere(world, PREPARED) != [[], []]:
            return False
        found = await everywhere(world, "SELECT id FROM notes")
        return found[0] == found[1]

    await world.until(equal)
    return found[0]


async def test_a_decision_that_no_standby_confirms_is_unknown_and_then_one_thing(two):
    with two.frozen("shard_0-b", "walreceiver"), pytest.raises(CommitUnknown):
        await write(two, seconds=0.5)

    assert await settled(two) == [(1,)]


async def test_a_part_that_cannot_be_prepared_in_time_is_written_nowhere(two):
    with two.frozen("shard_1-b", "walreceiver"), pytest.raises(DeadlineExceeded):
        await write(two, seconds=0.5)

    assert await settled(two) == []


async def test_what_is_decided_is_finished_when_the_standby_is_back(two):
    with ExitStack() as frozen:

        async def freeze(_):
            frozen.enter_context(two.frozen("shard_1-b", "walreceiver"))

        two.when(Step.DECIDED, freeze)
        with pytest.raises(CommitUnfinished):
            await write(two, seconds=0.7)

        assert await everywhere(two, "SELECT id FROM notes") == [[(1,)], []]
    assert await settled(two) == [(1,)]
