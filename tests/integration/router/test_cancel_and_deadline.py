"""A client that leaves, and a deadline that passes, end the statement on the server."""

import asyncio
import contextlib

import pytest

from router import DeadlineExceeded, StatementFailed, StatementServed

SLEEP = "SELECT pg_sleep(60)"


def running(world, text):
    """How many sessions of any server run a statement with this text."""

    async def count():
        total = 0
        for server in (world.PRIMARY, *world.REPLICAS):
            async with world.superuser(server) as connection:
                total += await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                    " AND datname = current_database() AND pid <> pg_backend_pid()"
                    " AND position($1 IN query) > 0",
                    text,
                )
        return total

    return count


@pytest.mark.parametrize("way", ["plain", "claims", "write"])
async def test_a_caller_that_leaves_cancels_its_statement(world, until, way):
    count = running(world, "pg_sleep(60)")
    query = (
        world.writing("INSERT INTO notes (id) SELECT 1 FROM pg_sleep(60)")
        if way == "write"
        else world.reading(SLEEP, claims=way == "claims")
    )
    call = asyncio.create_task(world.run(query))
    await until(count)

    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call

    async def ended():
        return await count() == 0

    await until(ended)
    assert call.cancelled()
    assert (await world.read("SELECT count(*) FROM notes")).rows == [(0,)]


@pytest.mark.parametrize("way", ["plain", "claims", "write"])
async def test_a_deadline_that_passes_cancels_the_statement_and_has_its_name(world, until, way):
    count = running(world, "pg_sleep(60)")
    query = (
        world.writing("INSERT INTO notes (id) SELECT 1 FROM pg_sleep(60)")
        if way == "write"
        else world.reading(SLEEP, claims=way == "claims")
    )

    with pytest.raises(DeadlineExceeded):
        await world.run(query, world.asker(seconds=0.2))

    async def ended():
        return await count() == 0

    await until(ended)
    assert (await world.read("SELECT count(*) FROM notes")).rows == [(0,)]


async def test_a_deadline_that_has_passed_sends_nothing(world):
    for query in (world.reading(SLEEP), world.writing("INSERT INTO notes (id) VALUES (1)")):
        with pytest.raises(DeadlineExceeded):
            await world.run(query, world.asker(seconds=-1))

    assert world.observed(StatementServed) == []


@pytest.mark.parametrize("claims", [False, True], ids=["plain", "claims"])
async def test_the_remaining_time_is_the_servers_time_limit(world, claims):
    query = world.reading("SELECT current_setting('statement_timeout')", claims=claims)

    reply = await world.run(query, world.asker(seconds=7.5))

    limit = reply.rows[0][0]
    assert limit.endswith("ms")
    assert 7000 < int(limit.removesuffix("ms")) <= 7502


async def test_a_full_deadline_uses_the_sessions_time_limit(make_world):
    world = await make_world(statement_timeout_s=5)

    reply = await world.read("SELECT current_setting('statement_timeout')", seconds=5)

    assert reply.rows == [("5s",)]


async def test_somebody_elses_cancel_is_no_deadline(world, until):
    call = asyncio.create_task(world.run(world.reading(SLEEP)))
    count = running(world, SLEEP)
    await until(count)

    for server in world.REPLICAS:
        async with world.superuser(server) as connection:
            await connection.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                " WHERE position('pg_sleep(60)' IN query) > 0 AND pid <> pg_backend_pid()"
            )

    with pytest.raises(StatementFailed) as caught:
        await call
    assert caught.value.sqlstate == "57014"


async def test_after_many_cancelled_calls_no_connection_is_lost_or_dirty(make_world, until):
    world = await make_world(max_connections=3)

    for number in range(30):
        call = asyncio.create_task(
            world.run(
                world.writing("INSERT INTO notes (id) VALUES ($1)", 1000 + number)
                if number % 3 == 0
                else world.reading("SELECT pg_sleep(0.01)", claims=number % 3 == 1)
            )
        )
        for _ in range(number):
            await asyncio.sleep(0)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call

    replies = await asyncio.gather(*(world.read("SELECT current_user::text") for _ in range(12)))
    assert {reply.rows[0] for reply in replies} == {("authenticated",)}
    await until(
        lambda: all(
            one.connections == one.idle <= 3 and one.in_flight == 0
            for one in world.status().endpoints
        )
    )
