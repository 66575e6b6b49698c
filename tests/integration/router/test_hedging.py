"""Late reads sent to a second replica: the first answer counts, the other one is cancelled."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from router import DeadlineExceeded, HedgeAfter, Hedged, ReadHedged, StatementFailed

LATE, OTHER = "shard_0-b", "shard_0-c"
COUNT = "SELECT count(*) FROM notes"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'fluxshard' AND wait_event_type = 'Lock'"
)


@asynccontextmanager
async def held_up(world, until):
    """Reads of the table wait on one replica: it has replayed a lock that the other has not."""
    async with world.superuser(OTHER) as other, world.superuser(world.PRIMARY) as primary:
        await other.execute("SELECT pg_wal_replay_pause()")
        await until(lambda: other.fetchval("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        await primary.execute("BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
        await primary.execute("SELECT pg_switch_wal()")
        async with world.superuser(LATE) as late:
            await until(
                lambda: late.fetchval(
                    "SELECT count(*) > 0 FROM pg_locks"
                    " WHERE mode = 'AccessExclusiveLock' AND relation = 'notes'::regclass"
                )
            )
            yield late
        await primary.execute("COMMIT")
        await other.execute("SELECT pg_wal_replay_resume()")


@pytest.fixture
def open_hedging(disposable_open):
    async def make(**settings):
        return await disposable_open(
            **{
                "hedge_after": HedgeAfter(seconds=0.02),
                "hedge_share": 1.0,
                "max_lag_s": 1000.0,
                "max_lag_bytes": 1 << 40,
                **settings,
            }
        )

    return make


def outcomes(world):
    return [one.outcome for one in world.observed(ReadHedged)]


async def test_reads_that_one_replica_holds_up_are_answered_by_another(open_hedging, until):
    world = await open_hedging()

    async with held_up(world, until) as late:
        served = {(await world.read(COUNT)).served.endpoint for _ in range(20)}

        assert served == {OTHER}
        assert Hedged.WON in outcomes(world)
        await until(lambda: late.fetchval(f"SELECT ({WAITING}) = 0"))  # cancelled, not left alone
        await until(lambda: world.endpoint(LATE).in_flight == 0)


async def test_at_most_the_share_is_sent_twice(open_hedging, until):
    world = await open_hedging(hedge_share=0.05)

    async with held_up(world, until):
        reads = [asyncio.create_task(world.read(COUNT, seconds=2.0)) for _ in range(40)]
        await asyncio.wait(reads)

    assert outcomes(world).count(Hedged.WON) <= 2
    assert Hedged.WITHHELD in outcomes(world)
    late = [one.exception() for one in reads if one.exception() is not None]
    assert {type(one) for one in late} <= {DeadlineExceeded}


async def test_an_error_of_the_statement_is_told_once_and_by_whoever_is_first(make_world):
    world = await make_world(hedge_after=HedgeAfter(seconds=0.001), hedge_share=1.0)

    for _ in range(5):
        with pytest.raises(StatementFailed, match="division by zero"):
            await world.read("SELECT 1 / (SELECT count(*) FROM notes, pg_sleep(0.01))")


async def test_a_read_that_is_left_leaves_nothing_running(open_hedging, until):
    world = await open_hedging()
    async with held_up(world, until) as late:
        reading = asyncio.create_task(world.read("SELECT count(*) FROM notes, pg_sleep(20)"))
        await until(lambda: sum(world.endpoint(one).in_flight for one in world.REPLICAS) == 2)

        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        assert [world.endpoint(one).in_flight for one in world.REPLICAS] == [0, 0]
        await until(lambda: late.fetchval(f"SELECT ({WAITING}) = 0"))


async def test_with_one_replica_nothing_is_sent_twice(open_hedging, until):
    world = await open_hedging()
    await world.cluster.kill(OTHER)
    await until(lambda: world.endpoint(OTHER).state == "down")

    reply = await world.read("SELECT count(*) FROM notes, pg_sleep(0.1)")

    assert reply.served.endpoint == LATE
    assert outcomes(world) == []
