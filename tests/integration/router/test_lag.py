"""The lag in time of real replicas: idle, and with replay paused."""

import asyncio
from contextlib import asynccontextmanager

WRITE = "INSERT INTO notes (id) VALUES ($1)"
BEHIND, OTHER = "shard_0-b", "shard_0-c"


@asynccontextmanager
async def paused(world, until, server):
    async with world.superuser(server) as session:
        await session.execute("SELECT pg_wal_replay_pause()")
        await until(lambda: session.fetchval("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        yield
        await session.execute("SELECT pg_wal_replay_resume()")


async def probed(world, times=3):
    """Each endpoint has been asked so many times from now on."""
    for _ in range(times):
        (group,) = (one for key, one in world.backends._live.groups.items() if key == "shard_0")
        await asyncio.wait([member.monitor.ask() for member in group.members])


async def test_paused_replay_is_lag_that_grows_until_it_goes_on(disposable_open, until):
    world = await disposable_open(max_lag_s=0.5)
    await world.write(WRITE, 1)
    await until(lambda: world.endpoint(BEHIND).lag_s == 0)

    async with paused(world, until, BEHIND):
        await world.write(WRITE, 2)
        await until(lambda: (world.endpoint(BEHIND).lag_s or 0) > 0.6)
        served = {(await world.read("SELECT 1", session="x")).served.endpoint for _ in range(10)}
        assert served == {OTHER}
        assert world.endpoint(OTHER).lag_s < 0.6

    await until(lambda: world.endpoint(BEHIND).lag_s == 0)


async def test_an_idle_primary_makes_no_lag(world, until):
    await world.write(WRITE, 1)
    async with world.superuser(
        BEHIND
    ) as session:  # by its own word it is as old as its last commit
        await until(
            lambda: session.fetchval(
                "SELECT clock_timestamp() - pg_last_xact_replay_timestamp() > '1 s'"
            )
        )
    await probed(world)
    assert [world.endpoint(one).lag_s for one in world.REPLICAS] == [0, 0]
