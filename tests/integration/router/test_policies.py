"""How fresh reads are by each policy, with replicas that stand still and servers that are replaced."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from router import (
    ANY,
    STRONG,
    TENANT,
    Consistency,
    FloorBeyondTimeline,
    Policy,
    QuorumLost,
    ShardDown,
    SharedFloors,
)
from shardmap import Durability

COUNT = "SELECT count(*) FROM notes"
INSERT = "INSERT INTO notes (id) VALUES ($1)"


@asynccontextmanager
async def both_paused(world):
    """Replicas that receive and do not replay."""
    async with world.superuser("shard_0-b") as b, world.superuser("shard_0-c") as c:
        for connection in (b, c):
            await connection.execute("SELECT pg_wal_replay_pause()")

            async def paused(connection=connection):
                state = await connection.fetchval("SELECT pg_get_wal_replay_pause_state()")
                return state == "paused"

            await world.until(paused)
        try:
            yield
        finally:
            for connection in (b, c):
                await connection.execute("SELECT pg_wal_replay_resume()")


async def counted(world, consistency, **who):
    """How many notes a reader of that policy sees, and who answered."""
    fields = {name: who.pop(name) for name in ("seen", "reached") if name in who}
    context = world.asker(**who)._replace(consistency=consistency, **fields)
    reply = await world.run(world.reading(COUNT), context)
    return reply.rows[0][0], reply.served


async def test_any_reads_what_a_replica_has_whatever_the_session_wrote(disposable_world):
    world = disposable_world
    async with both_paused(world):
        await world.write(INSERT, 1)
        found, served = await counted(world, ANY)

    assert found == 0
    assert served.replica


async def test_a_tenant_reads_what_any_of_its_sessions_wrote(disposable_world):
    world = disposable_world
    async with both_paused(world):
        await world.write(INSERT, 1, session="writer", tenant="7")
        own, _ = await counted(world, TENANT, session="reader", tenant="7")
        session, _ = await counted(world, world.asker().consistency, session="third", tenant="7")
        other, served = await counted(world, TENANT, session="reader", tenant="8")

    assert own == 1
    assert session == 0
    assert other == 0
    assert served.replica


async def test_a_tenant_reads_what_the_service_wrote_for_whomever(disposable_world):
    world = disposable_world
    async with both_paused(world):
        await world.write(INSERT, 1, session="operator", role="service_role")
        found, _ = await counted(world, TENANT, session="reader", tenant="7")

    assert found == 1


async def test_a_bounded_read_is_as_old_as_it_may_be_and_no_older(disposable_world, until):
    world = disposable_world
    async with both_paused(world):
        await world.write(INSERT, 1, session="writer")
        wide, served = await counted(world, Consistency(Policy.BOUNDED, 3600.0))
        narrow, other = await counted(world, Consistency(Policy.BOUNDED, 0.001))

    assert (wide, served.replica) == (0, True)
    assert (narrow, other.replica) == (1, False)

    async def on_a_replica():
        found, served = await counted(world, Consistency(Policy.BOUNDED, 0.5))
        return found == 1 and served.replica

    await until(on_a_replica)


async def test_a_bounded_read_is_refused_when_nobody_can_prove_the_bound(disposable_world, until):
    world = disposable_world
    await world.cluster.kill(world.PRIMARY)
    await until(lambda: world.status().primary is None)

    with pytest.raises(ShardDown, match="is known to show"):
        await counted(world, Consistency(Policy.BOUNDED, 0.001))
    assert (await counted(world, ANY))[1].replica


async def test_a_strong_read_sees_what_everybody_wrote(disposable_world):
    world = disposable_world
    async with both_paused(world):
        await world.write(INSERT, 1, session="writer")
        found, served = await counted(world, STRONG, session="reader")

    assert (found, served.endpoint) == (1, world.PRIMARY)


async def test_strong_reads_that_wait_together_share_a_proof(world):
    async with world.superuser(world.PRIMARY) as connection:
        before = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
        replies = await asyncio.gather(*(counted(world, STRONG) for _ in range(30)))
        after = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")

    assert {served.endpoint for _, served in replies} == {world.PRIMARY}
    assert after - before < 30


async def test_a_primary_that_no_standby_confirms_answers_no_strong_read(disposable_open):
    world = await disposable_open(quorum_grace_s=60.0)
    for replica in world.REPLICAS:
        for process in world.processes(replica):
            os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(QuorumLost):
            await counted(world, STRONG, seconds=1.0)
    finally:
        for replica in world.REPLICAS:
            for process in world.processes(replica):
                os.kill(process, signal.SIGCONT)


async def test_on_an_async_shard_a_strong_read_asks_every_endpoint_who_it_is(
    disposable_cluster, open_world
):
    cluster = await disposable_cluster(durability=Durability.ASYNC)
    world = await open_world(cluster, "fluxbase", probe_interval_s=60.0)

    found, served = await counted(world, STRONG)
    assert (found, served.endpoint) == (0, world.PRIMARY)

    async with world.superuser("shard_0-b") as connection:  # behind the back of the router
        await connection.execute("SELECT pg_promote()")
        await connection.execute("INSERT INTO notes (id) VALUES (1)")
    found, served = await counted(world, STRONG)

    assert (found, served.endpoint) == (1, "shard_0-b")


async def test_a_read_is_as_fresh_as_its_caller_says_to_have_seen(disposable_cluster, open_world):
    cluster = await disposable_cluster()
    first = await open_world(cluster, "fluxbase")
    second = await open_world(cluster, "fluxbase", floors=SharedFloors(None))
    async with both_paused(first):
        context = first.asker(session="writer")._replace(reached=[])
        await first.run(first.writing(INSERT, 1), context)
        seen = dict(context.reached)
        without, _ = await counted(second, first.asker().consistency, session="writer")
        bound, _ = await counted(second, Consistency(Policy.BOUNDED, 3600.0), seen=seen)
        reached = []
        found, _ = await counted(
            second, first.asker().consistency, session="reader", seen=seen, reached=reached
        )

    assert without == 0
    assert bound == 1
    assert found == 1
    assert reached[0][0] == "shard_0"
    assert reached[0][1].lsn >= seen["shard_0"].lsn


async def test_a_server_that_starts_anew_shows_no_less_than_the_one_before(
    disposable_cluster, open_world
):
    cluster = await disposable_cluster()
    before = await open_world(cluster, "fluxbase")
    async with both_paused(before):
        await before.write(INSERT, 1)
        after = await open_world(cluster, "fluxbase", floors=SharedFloors(None))
        reply = await after.read(COUNT)

    assert reply.rows == [(1,)]
    assert reply.served.endpoint == before.PRIMARY


async def test_a_shard_that_became_home_of_a_tenant_shows_all_of_it_to_everybody(
    disposable_world, until
):
    world = disposable_world
    async with both_paused(world):
        async with world.superuser(world.PRIMARY) as mover:
            await mover.execute("INSERT INTO notes (id) VALUES (1)")
        moved = replace(world.shard_map, epoch=world.shard_map.epoch + 1, slot_epochs={17: 2})
        await world.backends.adopt(moved)
        found, _ = await counted(world, ANY, session="nobody in particular")

    assert found == 1

    async def on_a_replica():
        return (await counted(world, ANY))[1].replica

    await until(on_a_replica)


@pytest.mark.parametrize("next_is", ["a read", "a write"])
async def test_a_write_that_a_promotion_left_behind_is_an_alarm_and_never_fresh(
    disposable_cluster, open_world, until, next_is
):
    cluster = await disposable_cluster(durability=Durability.ASYNC)
    world = await open_world(cluster, "fluxbase")
    for replica in world.REPLICAS:
        async with world.superuser(replica) as standby:
            await standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
            await standby.execute("SELECT pg_reload_conf()")

            async def alone(standby=standby):
                return await standby.fetchval("SELECT count(*) = 0 FROM pg_stat_wal_receiver")

            await until(alone)
    await world.write(INSERT, 1, session="loser")
    await cluster.kill(world.PRIMARY)
    async with world.superuser("shard_0-b") as standby:
        await standby.execute("ALTER SYSTEM RESET primary_conninfo")
        await standby.execute("SELECT pg_promote()")
        await until(lambda: world.status().primary == "shard_0-b")
        # far beyond the position that was promised
        await standby.execute("SELECT pg_switch_wal(); INSERT INTO notes (id) VALUES (2)")

    if next_is == "a read":
        found, served = await counted(world, world.asker().consistency, session="loser")
        assert (found, served.endpoint) == (1, "shard_0-b")
    else:
        await world.write(INSERT, 3, session="loser")
    (alarm,) = world.observed(FloorBeyondTimeline)
    assert (alarm.lost, alarm.first, alarm.quorum) == (True, True, False)
    assert alarm.floor.timeline == 1
    assert alarm.ended is not None
    assert alarm.ended[0] == alarm.ended[1] < alarm.floor.lsn
    assert world.status().beyond == 1


async def test_after_a_promotion_without_loss_nobody_is_alarmed(disposable_world, until):
    world = disposable_world
    await world.write(INSERT, 1, session="keeper")
    await world.cluster.kill(world.PRIMARY)
    promoted = await world.cluster.promote("shard_0")
    await until(lambda: world.status().primary == promoted)

    found, _ = await counted(world, world.asker().consistency, session="keeper", seconds=20)

    assert found == 1
    assert world.observed(FloorBeyondTimeline) == []
