"""Sessions read their own writes and never see time run backwards, on replicas."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from router import FreshnessMissed, SharedFloors


@asynccontextmanager
async def replay_paused(world, server):
    """A replica that receives and does not replay."""
    async with world.superuser(server) as connection:
        await connection.execute("SELECT pg_wal_replay_pause()")

        async def paused():
            state = await connection.fetchval("SELECT pg_get_wal_replay_pause_state()")
            return state == "paused"

        await world.until(paused)
        try:
            yield
        finally:
            await connection.execute("SELECT pg_wal_replay_resume()")


async def test_a_session_reads_its_own_write_from_a_replica(world):
    replicas = set()

    for number in range(60):
        session = f"s{number}"
        await world.write("INSERT INTO notes (id) VALUES ($1)", number, session=session)
        reply = await world.read("SELECT id FROM notes WHERE id = $1", number, session=session)
        assert reply.rows == [(number,)]
        if reply.served.replica:
            replicas.add(reply.served.endpoint)

    assert replicas == set(world.REPLICAS)


@pytest.mark.parametrize("way", ["plain", "inline", "claims", "inline claims"])
async def test_a_replica_that_has_not_replayed_the_write_does_not_answer(disposable_open, way):
    world = await disposable_open(freshness_wait_s=20.0)  # so the primary need not step in
    claims, inline = "claims" in way, "inline" in way
    sql = "SELECT count(*)" + (f", {world.POSITION}" if inline else "") + " FROM notes"
    query = world.reading(sql, claims=claims, inline_position=inline)

    async with replay_paused(world, "shard_0-b"):
        await world.write("INSERT INTO notes (id) VALUES (1)")
        replies = [await world.run(query) for _ in range(12)]

    assert {tuple(reply.rows) for reply in replies} == {((1,),)}
    assert {reply.served.endpoint for reply in replies} == {"shard_0-c"}


async def test_the_primary_answers_when_no_replica_comes_in_time(disposable_world):
    world = disposable_world

    async with replay_paused(world, "shard_0-b"), replay_paused(world, "shard_0-c"):
        await world.write("INSERT INTO notes (id) VALUES (1)", session="writer")
        own = await world.read("SELECT count(*) FROM notes", session="writer")
        other = await world.read("SELECT count(*) FROM notes", session="other")

    assert own.rows == [(1,)]
    assert own.served.endpoint == world.PRIMARY
    assert len(world.observed(FreshnessMissed)) == 1
    assert other.rows == [(0,)]
    assert other.served.replica


async def test_reads_of_a_session_never_go_back_in_time(disposable_world):
    world = disposable_world
    async with replay_paused(world, "shard_0-b"):
        await world.write("INSERT INTO notes (id) VALUES (1)", session="writer")

        async def seen():
            return (await world.read("SELECT 1 FROM notes", session="reader")).rows

        await world.until(seen)
        replies = [await world.read("SELECT 1 FROM notes", session="reader") for _ in range(12)]

    assert {len(reply.rows) for reply in replies} == {1}


async def test_a_read_waits_for_a_replica_that_is_about_to_arrive(disposable_open, until):
    world = await disposable_open(freshness_wait_s=20.0)
    async with world.superuser("shard_0-b") as b, world.superuser("shard_0-c") as c:
        for connection in (b, c):
            await connection.execute("SELECT pg_wal_replay_pause()")
        await world.write("INSERT INTO notes (id) VALUES (1)")
        read = asyncio.create_task(world.read("SELECT count(*) FROM notes"))
        await asyncio.sleep(0)
        await c.execute("SELECT pg_wal_replay_resume()")
        reply = await read
        await b.execute("SELECT pg_wal_replay_resume()")

    assert reply.rows == [(1,)]
    assert reply.served.endpoint == "shard_0-c"


async def test_a_write_through_one_worker_is_seen_through_another(
    cluster, databases, open_world, tmp_path
):
    with (
        SharedFloors(tmp_path, worker=0, workers=2) as first_floors,
        SharedFloors(tmp_path, worker=1, workers=2) as second_floors,
    ):
        first = await open_world(cluster, databases.name, floors=first_floors)
        second = await open_world(cluster, databases.name, floors=second_floors)

        for number in range(40):
            await first.write("INSERT INTO notes (id) VALUES ($1)", number)
            reply = await second.read("SELECT 1 FROM notes WHERE id = $1", number)
            assert reply.rows == [(1,)]


async def test_a_replica_beyond_the_lag_limit_answers_nobody(disposable_open, until):
    world = await disposable_open(max_lag_bytes=1000)
    async with replay_paused(world, "shard_0-b"):
        await world.write(
            "INSERT INTO notes SELECT n, 'x', repeat('y', 100) FROM generate_series(1, 100) AS n"
        )
        await until(lambda: world.endpoint("shard_0-b").lag_bytes > 1000)
        replies = [
            await world.read("SELECT count(*) FROM notes", session=str(n)) for n in range(12)
        ]

    assert "shard_0-b" not in {reply.served.endpoint for reply in replies}
    await until(lambda: world.endpoint("shard_0-b").lag_bytes == 0)
