"""Held connections: their budget, their order, and what happens when there are none left."""

import asyncio

import pytest

from router import PoolQueueFull, PoolTimeout, QueueOverflowed

SHARD = "shard_0"
PID = "SELECT pg_backend_pid()"


def busy(world):
    return sum(one.in_flight for one in world.status().endpoints)


def every_endpoint(world):
    return [endpoint for shard in world.backends.status() for endpoint in shard.endpoints]


async def stop(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_connection_serves_every_role_in_turn(make_world):
    world = await make_world(max_connections=1)

    for role in ("authenticated", "service_role", "anon", "authenticated") * 3:
        reply = await world.read("SELECT current_user::text", role=role)
        assert reply.rows == [(role,)]
        await world.run(world.reading("SELECT current_user::text", claims=True), world.asker(role))

    assert max(one.connections for one in world.status().endpoints) == 1


async def test_no_endpoint_ever_has_more_connections_than_its_limit(make_world):
    world = await make_world(max_connections=3)
    roles = ("authenticated", "service_role", "anon")
    most = 0

    async def one(number):
        nonlocal most
        reply = await world.read("SELECT current_user::text", role=roles[number % 3])
        most = max(most, *(endpoint.connections for endpoint in world.status().endpoints))
        return reply.rows[0][0], roles[number % 3]

    found = await asyncio.gather(*(one(number) for number in range(200)))

    assert all(actual == wanted for actual, wanted in found)
    assert most == 3


async def test_who_waits_longer_than_allowed_is_told_so_by_name(make_world, until):
    world = await make_world(max_connections=1, acquire_timeout_s=0.2)
    holders = [asyncio.create_task(world.write("SELECT pg_sleep(60)"))]
    await until(lambda: busy(world) == 1)

    with pytest.raises(PoolTimeout) as caught:
        await world.write("INSERT INTO notes (id) VALUES (1)")

    assert "connection pool" in str(caught.value)
    assert caught.value.retry_after_s > 0
    await stop(*holders)


async def test_those_of_one_tenant_are_served_in_order(make_world, until):
    world = await make_world(max_connections=1)
    order = []

    async def one(number, role):
        await world.write("INSERT INTO notes (id) VALUES ($1)", number, role=role, tenant="7")
        order.append(number)

    holder = asyncio.create_task(world.write("SELECT pg_sleep(60)"))
    await until(lambda: busy(world) == 1)
    waiting = []
    for number in range(8):
        role = "service_role" if number % 2 else "authenticated"
        waiting.append(asyncio.create_task(one(number, role)))
        await until(lambda: world.endpoint(world.PRIMARY).waiting == len(waiting))
    await stop(waiting.pop(3), holder)  # one in the middle gives up
    await asyncio.gather(*waiting)

    assert order == [0, 1, 2, 4, 5, 6, 7]


async def test_a_tenant_that_floods_waits_for_itself(make_world, until):
    world = await make_world(max_connections=1)
    order = []

    async def one(tenant):
        await world.write("SELECT 1", tenant=tenant)
        order.append(tenant)

    holder = asyncio.create_task(world.write("SELECT pg_sleep(60)"))
    await until(lambda: busy(world) == 1)
    waiting = []
    for tenant in [*["flood"] * 20, "a", "b", "a"]:
        waiting.append(asyncio.create_task(one(tenant)))
        await until(lambda: world.endpoint(world.PRIMARY).waiting == len(waiting))
    await stop(holder)
    await asyncio.gather(*waiting)

    assert order[:6] == ["flood", "a", "b", "flood", "a", "flood"]
    assert order.count("flood") == 20


async def test_a_full_queue_turns_away_the_newest_of_who_has_most_waiting(make_world, until):
    world = await make_world(max_connections=1, queue_length=4)
    holder = asyncio.create_task(world.write("SELECT pg_sleep(60)"))
    await until(lambda: busy(world) == 1)

    async def one(tenant):
        return await world.write("SELECT 1", tenant=tenant)

    flood = []
    for number in range(4):
        flood.append(asyncio.create_task(one("flood")))
        await until(lambda number=number: world.endpoint(world.PRIMARY).waiting == number + 1)
    with pytest.raises(PoolQueueFull) as caught:
        await one("flood")
    other = asyncio.create_task(one("other"))
    await until(flood[3].done)

    assert caught.value.retry_after_s > 0
    assert isinstance(flood[3].exception(), PoolQueueFull)
    assert world.endpoint(world.PRIMARY).turned_away == 2
    told = [one for one in world.seen if isinstance(one, QueueOverflowed)]
    assert [(one.endpoint, one.waiting) for one in told] == [(world.PRIMARY, 4)]
    await stop(holder)
    await asyncio.gather(*flood[:3], other)
    assert world.endpoint(world.PRIMARY).waiting == 0


async def test_all_endpoints_together_stay_below_the_cap_and_make_room_for_each_other(make_world):
    world = await make_world(max_connections=4, min_connections=0, total_connections=3)
    most = 0

    async def one(number):
        nonlocal most
        if number % 2:
            await world.write("INSERT INTO notes (id) VALUES ($1)", number)
        else:
            await world.read("SELECT 1")
        most = max(most, sum(each.connections for each in every_endpoint(world)))

    await asyncio.gather(*(one(number) for number in range(60)))

    assert 1 <= most <= 3


async def test_the_warmest_connection_is_taken_first(make_world):
    world = await make_world(max_connections=8)
    await asyncio.gather(*(world.read("SELECT pg_sleep(0.05)") for _ in range(16)))

    pids = {(await world.read(PID)).rows[0][0] for _ in range(20)}

    assert len(pids) <= 2  # one on each replica


async def test_connections_idle_too_long_are_closed_down_to_the_minimum(make_world, until):
    world = await make_world(max_connections=8, min_connections=2, idle_time_s=0.2)
    await asyncio.gather(*(world.read("SELECT pg_sleep(0.05)") for _ in range(16)))

    await until(lambda: all(one.connections == 2 for one in world.status().endpoints))

    assert (await world.read("SELECT 1")).rows == [(1,)]


async def test_a_connection_ends_with_its_lifetime(make_world, until):
    world = await make_world(max_connections=1, max_lifetime_s=0.3)
    first = {(await world.read(PID)).rows[0][0] for _ in range(6)}

    async def replaced():
        now = {(await world.read(PID)).rows[0][0] for _ in range(6)}
        return now.isdisjoint(first)

    await until(replaced)


async def test_a_caller_that_leaves_while_it_waits_takes_nothing_along(make_world, until):
    world = await make_world(max_connections=1)
    holder = asyncio.create_task(world.write("SELECT pg_sleep(60)"))
    await until(lambda: busy(world) == 1)

    for _ in range(5):
        waiting = asyncio.create_task(world.write("INSERT INTO notes (id) VALUES (1)"))
        await until(lambda: world.endpoint(world.PRIMARY).waiting == 1)
        await stop(waiting)
    await stop(holder)

    await world.write("INSERT INTO notes (id) VALUES (3)")
    assert world.endpoint(world.PRIMARY).connections == 1


async def test_a_connection_handed_to_a_caller_that_leaves_goes_to_the_next(make_world, until):
    world = await make_world(max_connections=1)
    pool = world.backends._live.groups[SHARD].members[0].pool  # to hand over between two steps
    held = await pool.acquire("authenticated", 5)
    leaving = asyncio.create_task(pool.acquire("authenticated", 5))
    staying = asyncio.create_task(pool.acquire("authenticated", 5))
    await until(lambda: pool.standing().waiting == 2)

    pool.give_back(held)
    leaving.cancel()

    assert await staying is held
    assert leaving.cancelled()
    pool.give_back(held)
    assert pool.standing().open == pool.standing().idle == 1


async def test_a_server_that_has_no_room_is_a_matter_of_the_pool(world, unprivileged):
    login = await unprivileged(world, "CONNECTION LIMIT 1")  # which the probe uses up
    await login.prepared_by_hand()
    await world.backends.adopt(login.shard_map)
    await world.until(lambda: world.status().primary)

    with pytest.raises(PoolTimeout) as caught:
        await world.write("INSERT INTO notes (id) VALUES (1)")

    assert "connection pool" in str(caught.value)
