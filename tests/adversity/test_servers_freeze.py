"""Servers that go silent without ending their connections, under clients that go on."""

import asyncio
from contextlib import ExitStack

ATTACKED, SPARED = "shard_0", "shard_1"
PRIMARY_AWAY, QUORUM_LOST = "P203", "P204"
WAITING_FOR_LOCK = "wait_event_type = 'Lock'"


async def test_a_frozen_replica_costs_no_read_and_no_write(world, steady):
    async with steady.at_work():
        with world.frozen(world.replicas()[0]):
            await steady.more(reads=20, writes=10)
        await steady.more()

    assert steady.failures("read") == {}
    assert steady.failures("write") == {}


async def test_reads_in_flight_on_a_replica_that_freezes_are_answered_by_others(
    world, session, http
):
    users = [session() for _ in range(10)]
    with ExitStack() as freezing:
        async with world.locked():
            reading = [asyncio.create_task(user.read(http)) for user in users]
            await world.until_sessions(world.replicas(), WAITING_FOR_LOCK, len(users))
            waiting = {
                one: await world.sessions([one], WAITING_FOR_LOCK) for one in world.replicas()
            }
            victim = max(waiting, key=waiting.get)
            freezing.enter_context(world.frozen(victim))
        answers = [await one for one in reading]

    assert [answer.status for answer in answers] == [200] * len(users)
    assert not any(victim in answer.served for answer in answers)


async def test_replicas_that_lag_cost_no_freshness(world, steady):
    async with steady.at_work():
        async with world.lagging(*world.replicas()):
            await steady.more(reads=20, writes=10)
        await steady.more()

    assert steady.failures("read") == {}
    assert steady.failures("write") == {}


async def test_a_frozen_primary_costs_no_read_and_loses_no_write(world, steady):
    attacked = steady.of(ATTACKED)
    async with steady.at_work():
        with world.frozen(world.primary()):
            await steady.refused(attacked, PRIMARY_AWAY)
            await steady.more(reads=20, writes=0)
        await steady.more()

    assert steady.failures("read") == {}
    assert steady.failures("write", attacked).keys() <= {"503 P203", "500 COMMIT_UNKNOWN"}
    assert steady.failures("write", steady.of(SPARED)) == {}


async def test_with_all_replicas_frozen_writes_are_refused_by_name_and_reads_go_on(world, steady):
    attacked = steady.of(ATTACKED)
    async with steady.at_work():
        with world.frozen(*world.replicas()):
            await steady.refused(attacked, QUORUM_LOST)
            await steady.more(reads=10, writes=0)
        await steady.more()

    assert steady.failures("read") == {}
    assert steady.failures("write", attacked).keys() <= {"503 P204", "500 COMMIT_UNKNOWN"}
    assert steady.failures("write", steady.of(SPARED)) == {}


async def test_a_write_that_waits_for_frozen_replicas_succeeds_when_they_go_on(
    world, session, http
):
    user = session()
    with world.frozen(*world.replicas()):
        writing = asyncio.create_task(user.write(http))
        await world.until_sessions([world.primary()], "wait_event = 'SyncRep'", 1)
    answer = await writing

    assert answer.status == 201
    assert user.judge(await world.rows(user)) == []
