"""Servers that die, freeze, come back and are promoted, under a router that goes on."""

import asyncio
import contextlib
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from router import (
    CommitUnknown,
    DurabilityMissed,
    EndpointChanged,
    PrimariesConflict,
    PrimaryAway,
    ReadRetried,
    ShardDown,
    ShardUnavailable,
    WriteHeld,
)
from shardmap import Durability, KeyType, ShardMap, Unsharded

INSERT = "INSERT INTO notes (id) VALUES ($1)"
COUNT = "SELECT count(*) FROM notes"


class Clients:
    """Reads and writes without a pause, each with its outcome."""

    def __init__(self, world):
        self.world = world
        self.read_errors = []
        self.refused = []
        self.unknown = set()
        self.acknowledged = set()
        self.reads = 0

    async def reading(self, name):
        while True:
            try:
                await self.world.read(COUNT, session=name, seconds=5)
                self.reads += 1
            except ShardUnavailable as error:
                self.read_errors.append(error)
            await asyncio.sleep(0.002)

    async def writing(self, first):
        for number in range(first, first + 1_000_000):
            self.unknown.add(number)  # so it stays if this task is cancelled meanwhile
            try:
                await self.world.write(INSERT, number, session=f"w{first}", seconds=5)
                self.acknowledged.add(number)
                self.unknown.discard(number)
            except CommitUnknown:
                pass
            except ShardUnavailable:
                self.refused.append(number)
                self.unknown.discard(number)
            await asyncio.sleep(0.002)

    @contextlib.asynccontextmanager
    async def at_work(self):
        tasks = [asyncio.create_task(self.reading(f"r{n}")) for n in range(4)]
        tasks += [asyncio.create_task(self.writing(n * 1_000_000)) for n in range(1, 4)]
        try:
            yield self
            for task in tasks:
                assert not task.done() or task.exception() is None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def ids(world):
    """What is there, by the primary itself."""
    async with world.superuser(world.status().primary) as connection:
        return {row["id"] for row in await connection.fetch("SELECT id FROM notes")}


@pytest.mark.parametrize("server", ["shard_0-b", "shard_0-c"])
async def test_a_replica_that_is_killed_costs_no_read(disposable_world, until, server):
    world, clients = disposable_world, Clients(disposable_world)

    async with clients.at_work():
        await until(lambda: clients.reads > 50)
        await world.cluster.kill(server)
        await until(lambda: world.endpoint(server).state == "down")
        before = clients.reads
        await until(lambda: clients.reads > before + 50)
        await world.cluster.start(server)
        await until(lambda: world.endpoint(server).state == "replica")

    assert clients.read_errors == []
    assert clients.refused == []
    assert clients.acknowledged <= await ids(world)


async def test_a_replica_that_freezes_keeps_no_read(disposable_open, until):
    world = await disposable_open(abandon_after_s=1.0)
    stuck = asyncio.Event()
    clients = Clients(world)

    async with clients.at_work():
        await until(lambda: clients.reads > 50)
        with world.frozen("shard_0-b"):
            stuck.set()
            await until(lambda: world.endpoint("shard_0-b").state == "down")
            await until(lambda: world.endpoint("shard_0-b").in_flight == 0)
            before = clients.reads
            await until(lambda: clients.reads > before + 50)
        await until(lambda: world.endpoint("shard_0-b").state == "replica")

    assert clients.read_errors == []


async def test_without_replicas_the_primary_reads(disposable_world, until):
    world = disposable_world
    for server in world.REPLICAS:
        await world.cluster.kill(server)
    await until(lambda: all(world.endpoint(one).state == "down" for one in world.REPLICAS))

    reply = await world.read("SELECT 1")

    assert reply.served.endpoint == world.PRIMARY


async def test_with_every_server_dead_reads_and_writes_are_refused_by_name(disposable_world, until):
    world = disposable_world
    for server in (world.PRIMARY, *world.REPLICAS):
        await world.cluster.kill(server)

    with pytest.raises(ShardDown):
        await world.read("SELECT 1")
    with pytest.raises(PrimaryAway):
        await world.write(INSERT, 1)


async def test_a_killed_primary_loses_nothing_acknowledged(disposable_world, until):
    world, clients = disposable_world, Clients(disposable_world)

    async with clients.at_work():
        await until(lambda: len(clients.acknowledged) > 50 and clients.reads > 50)
        await world.cluster.kill(world.PRIMARY)
        await until(lambda: clients.refused)
        before = clients.reads
        await until(lambda: clients.reads > before + 20)  # reads go on meanwhile
        heir = await world.cluster.promote("shard_0")
        await until(lambda: world.status().primary == heir)
        acknowledged = len(clients.acknowledged)
        await until(lambda: len(clients.acknowledged) > acknowledged + 50)

    there = await ids(world)
    assert clients.acknowledged <= there
    assert there <= clients.acknowledged | clients.unknown
    assert clients.read_errors == []
    # the old one comes back as a replica of the new one, and takes part again
    await world.cluster.up()
    await until(lambda: world.endpoint(world.PRIMARY).state == "replica")


async def test_a_primary_that_restarts_is_used_again(disposable_world, until):
    world, clients = disposable_world, Clients(disposable_world)

    async with clients.at_work():
        await until(lambda: len(clients.acknowledged) > 20)
        await world.cluster.kill(world.PRIMARY)
        await until(lambda: clients.refused)
        await world.cluster.start(world.PRIMARY)
        acknowledged = len(clients.acknowledged)
        await until(lambda: len(clients.acknowledged) > acknowledged + 20)

    there = await ids(world)
    assert clients.acknowledged <= there
    assert there <= clients.acknowledged | clients.unknown


async def test_a_primary_left_behind_by_a_promotion_is_fenced_off(disposable_world, until):
    world = disposable_world
    assert world.status().durability is Durability.QUORUM
    await world.write(INSERT, 1)
    with world.frozen(world.PRIMARY):
        await until(lambda: world.endpoint(world.PRIMARY).state == "down")
        async with world.superuser("shard_0-b") as heir:
            await heir.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            await heir.execute("SELECT pg_reload_conf()")
            await heir.execute("SELECT pg_promote()")
        await until(lambda: world.status().primary == "shard_0-b")
        await world.write(INSERT, 2)
    await until(lambda: world.endpoint(world.PRIMARY).state == "fenced")

    reply = await world.write(INSERT, 3)

    assert reply.served.endpoint == "shard_0-b"
    assert {(await world.read(COUNT, session=str(n))).served.endpoint for n in range(12)} == {
        "shard_0-b"
    }
    fenced = [one for one in world.observed(EndpointChanged) if one.state == "fenced"]
    assert [one.endpoint for one in fenced] == [world.PRIMARY]
    # its successor was made to wait for nobody, which the map does not say
    assert world.status().durability is Durability.ASYNC
    assert not world.status().durable
    alarms = world.observed(DurabilityMissed)
    assert [(one.endpoint, one.over) for one in alarms] == [("shard_0-b", False)]


async def test_two_primaries_on_one_timeline_are_refused_by_name_until_one_is_gone(
    disposable_world, until
):
    world = disposable_world
    await world.write(INSERT, 1)
    await world.cluster.kill(world.PRIMARY)
    for name in world.REPLICAS:
        async with world.superuser(name) as heir:
            await heir.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            await heir.execute("SELECT pg_reload_conf(), pg_promote()")
    await until(lambda: world.status().conflict)

    with pytest.raises(PrimariesConflict, match=r"shard_0-b conflict.*shard_0-c conflict"):
        await world.write(INSERT, 2)
    with pytest.raises(ShardDown):
        await world.read(COUNT)

    changes = [one.endpoint for one in world.observed(EndpointChanged) if one.state == "conflict"]
    assert sorted(changes) == list(world.REPLICAS)
    await world.cluster.kill("shard_0-c")
    await until(lambda: world.status().writable)
    assert (await world.write(INSERT, 3)).served.endpoint == "shard_0-b"


async def test_a_write_may_wait_for_the_new_primary(disposable_open, until):
    world = await disposable_open(write_hold_s=20.0)
    await world.cluster.kill(world.PRIMARY)
    await until(lambda: world.endpoint(world.PRIMARY).state == "down")

    write = asyncio.create_task(world.write(INSERT, 1))
    await until(lambda: world.status().held == 1)
    heir = await world.cluster.promote("shard_0")
    reply = await write

    assert reply.served.endpoint == heir
    assert [one.found for one in world.observed(WriteHeld)] == [True]
    assert world.status().held == 0


async def test_the_first_write_after_a_promotion_waits_for_no_probe_interval(disposable_open):
    world = await disposable_open(probe_interval_s=300.0, proof_age_s=600.0, write_hold_s=20.0)
    await world.write(INSERT, 1)
    heir = await world.cluster.promote("shard_0")  # of which no probe has told the router

    reply = await world.write(INSERT, 2, seconds=60)

    assert reply.served.endpoint == heir


async def test_more_writes_than_may_wait_are_refused_at_once(disposable_open, until):
    world = await disposable_open(write_hold_s=20.0, held_writes=2)
    await world.cluster.kill(world.PRIMARY)
    await until(lambda: world.endpoint(world.PRIMARY).state == "down")

    held = [asyncio.create_task(world.write(INSERT, number)) for number in (1, 2)]
    await until(lambda: world.status().held == 2)
    with pytest.raises(PrimaryAway, match="2 writes wait"):
        await world.write(INSERT, 3)

    for write in held:
        write.cancel()
    await asyncio.wait(held)
    assert world.status().held == 0


async def test_a_write_is_not_held_beyond_its_own_time(disposable_open, until):
    world = await disposable_open(write_hold_s=60.0)
    await world.cluster.kill(world.PRIMARY)
    await until(lambda: world.endpoint(world.PRIMARY).state == "down")

    with pytest.raises(PrimaryAway):
        await world.write(INSERT, 1, seconds=0.5)


async def test_a_read_whose_connection_breaks_is_answered_elsewhere(world, until):
    read = asyncio.create_task(world.read("SELECT 1 FROM pg_sleep(1)"))

    async def cut():
        for server in world.REPLICAS:
            async with world.superuser(server) as connection:
                if await connection.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE position('pg_sleep(1)' IN query) > 0 AND pid <> pg_backend_pid()"
                ):
                    return True
        return False

    await until(cut)
    reply = await read

    assert reply.rows == [(1,)]
    assert len(world.observed(ReadRetried)) == 1


async def test_a_read_that_replay_interrupts_is_answered_elsewhere(disposable_world, until):
    world = disposable_world
    async with world.superuser(world.PRIMARY) as primary, world.superuser("shard_0-b") as replica:
        for sql in (
            "ALTER SYSTEM SET max_standby_streaming_delay = 0",
            "ALTER SYSTEM SET hot_standby_feedback = off",
        ):
            await replica.execute(sql)
        await replica.execute("SELECT pg_reload_conf()")
        await world.cluster.kill("shard_0-c")
        await until(lambda: world.endpoint("shard_0-c").state == "down")
        read = asyncio.create_task(world.read("SELECT count(*), pg_sleep(3)::text FROM notes"))
        async with world.superuser("shard_0-b") as watching:

            async def started():
                return await watching.fetchval(
                    "SELECT count(*) FROM pg_locks WHERE relation = 'notes'::regclass"
                )

            await until(started)
        await primary.execute("BEGIN; LOCK TABLE notes; COMMIT; TRUNCATE notes")
        reply = await read

    assert reply.served.endpoint == world.PRIMARY
    assert len(world.observed(ReadRetried)) >= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_however_the_primary_stops_reads_go_on(disposable_world, until, number):
    world, clients = disposable_world, Clients(disposable_world)

    async with clients.at_work():
        await until(lambda: clients.reads > 20)
        if number is signal.SIGTERM:  # waits for sessions to end
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await world.cluster.kill(world.PRIMARY, number)
        else:
            await world.cluster.kill(world.PRIMARY, number)
        before = clients.reads
        await until(lambda: clients.reads > before + 50)

    assert clients.read_errors == []


async def test_a_primary_that_was_demoted_unnoticed_is_not_written_to(disposable_open, until):
    world = await disposable_open(probe_interval_s=3600.0, proof_age_s=3600.0)
    members = world.backends._live.groups["shard_0"].members  # to know what no probe has seen
    members[0].standing.in_recovery = True
    members[1].standing.in_recovery = False
    members[1].monitor._notify()
    assert world.status().primary == "shard_0-b"

    reply = await world.write(INSERT, 1)

    assert reply.served.endpoint == world.PRIMARY
    assert world.status().primary == world.PRIMARY


class Address:
    """A socket that leads new connections to whichever server it now means, as a virtual IP does."""

    def __init__(self, directory):
        self.directory = directory
        self.target = None

    @contextlib.asynccontextmanager
    async def open(self, port):
        path = self.directory / f".s.PGSQL.{port}"
        server = await asyncio.start_unix_server(self._joined, path)
        try:
            yield
        finally:
            server.close()

    async def _joined(self, reader, writer):
        with contextlib.suppress(OSError):
            there, onward = await asyncio.open_unix_connection(self.target)
            await asyncio.gather(self._pumped(reader, onward), self._pumped(there, writer))

    @staticmethod
    async def _pumped(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()


async def test_an_address_whose_server_changes_leads_to_its_new_primary(
    disposable_cluster, open_world, until, monkeypatch
):
    """Connections to the old server stay open, and it goes on as a primary."""
    monkeypatch.setattr("router.live.health.LOOK_AGAIN_S", 0.1)
    cluster = await disposable_cluster(shards=1)
    (shard,) = cluster.endpoints().shards
    address = Address(Path(shard.primary.host))
    address.target = f"{shard.primary.host}/.s.PGSQL.{shard.primary.port}"
    alone = replace(shard, primary=replace(shard.primary, port=30001), replicas=())
    shard_map = ShardMap(
        cluster_id="c-address",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: alone},
        catalog=cluster.endpoints().catalog.primary,
        catalog_replicas=(),
        slots=(shard.id,) * 4096,
        default_placement=Unsharded(),
    )
    async with address.open(30001):
        world = await open_world(cluster, "fluxbase", shard_map=shard_map)
        await world.write(INSERT, 1)
        async with world.superuser("shard_0-b") as heir:
            await heir.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            await heir.execute("SELECT pg_reload_conf(), pg_promote()")
        address.target = f"{shard.primary.host}/.s.PGSQL.{shard.replicas[0].port}"
        await until(lambda: world.endpoint(world.PRIMARY).timeline == 2)

        await world.write(INSERT, 2)

    async with world.superuser("shard_0-b") as heir:
        assert await heir.fetchval("SELECT count(*) FROM notes") == 2
    async with world.superuser("shard_0-a") as old:
        await until(partial(nobody_is_left, old))


async def nobody_is_left(connection):
    """Whether the router has no session on this server any more."""
    return not await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fluxshard'"
    )
