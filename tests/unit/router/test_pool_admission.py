"""A pool whose endpoint is slow: fewer run at a time, tenants take turns, nobody is forgotten."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from router import BackendSettings, InFlightLimited, InFlightLimitEnded, TaskOwner
from router.live.cap import ConnectionCap
from router.live.connection import HeldConnection
from router.live.pools import EndpointPool
from shardmap import ShardId

SHARD = ShardId("s0")
ROLE = "authenticated"


class TwinSession:
    """A session as a pool sees it: open, until it is closed."""

    def __init__(self):
        self.closed = False

    def is_closed(self):
        return self.closed

    async def execute(self, message, **limits):
        pass

    async def close(self, **limits):
        self.closed = True

    def terminate(self):
        self.closed = True


@pytest.fixture
async def make_pool():
    """Pools with twin sessions; what they observe is in `seen`."""
    async with TaskOwner() as owner:

        def made(limit=6, least=1, **settings):
            seen = []

            async def opened(role, share):
                await asyncio.sleep(0)
                return HeldConnection(TwinSession(), role, expires_at=1e12, cache_size=0)

            pool = EndpointPool(
                SHARD,
                "s0-a",
                opened,
                BackendSettings(least_in_flight=least, **settings),
                owner,
                ConnectionCap(0),
                seen.append,
                limit=limit,
            )
            pool.seen = seen
            return pool

        yield made


def became_slow(pool, times=10.0, at=100.0, among=6):
    """Statements take so many times as long as alone, from a moment on."""
    for number in range(20):
        pool.admission.answered("q", 0.02, 1, at + number / 100)
    slow_s = 0.02 * times
    for number in range(100):
        pool.admission.answered("q", slow_s, among, at + 10 + number / 10)


def became_quick(pool, at=200.0):
    """They take no longer than alone, among as many as are let in."""
    for number in range(400):
        pool.admission.answered("q", 0.02, pool.admission.most, at + number / 100)


@asynccontextmanager
async def in_use(pool, count):
    held = [await pool.acquire(ROLE, 1, "flood") for _ in range(count)]
    yield held
    for one in held:
        pool.give_back(one)


async def test_only_so_many_run_as_are_let_in_and_the_others_wait(make_pool, eventually):
    pool = make_pool()
    async with in_use(pool, 6):
        pass
    became_slow(pool)
    assert pool.standing().admitted == 1

    first = pool.take(ROLE)
    second = asyncio.create_task(pool.acquire(ROLE, 20, "a"))
    await eventually(lambda: pool.standing().waiting == 1)

    assert pool.take(ROLE) is None
    assert pool.standing().idle == 5
    pool.give_back(first)
    assert (await second) is first
    pool.give_back(second.result())


async def test_whoever_has_least_goes_first(make_pool, eventually):
    pool = make_pool(limit=4)
    order = []

    async def one(party):
        held = await pool.acquire(ROLE, 20, party)
        order.append(party)
        return held

    async with in_use(pool, 4):
        waiting = [asyncio.create_task(one("flood")) for _ in range(4)]
        await eventually(lambda: pool.standing().waiting == 4)
    flooding = [await task for task in waiting]
    more = [asyncio.create_task(one(party)) for party in ("flood", "flood", "a", "b", "a")]
    await eventually(lambda: pool.standing().waiting == 5)
    for held in flooding[:3]:
        pool.give_back(held)
    await eventually(lambda: len(order) == 7)

    assert order[4:] == ["a", "b", "flood"]
    for held in (flooding[3], *(task.result() for task in more if task.done())):
        pool.give_back(held)
    for task in more:
        if not task.done():
            pool.give_back(await task)


async def test_those_that_wait_go_in_at_once_when_more_are_let_in(make_pool, eventually):
    pool = make_pool()
    async with in_use(pool, 6):
        pass
    became_slow(pool)
    first = pool.take(ROLE)
    waiting = [asyncio.create_task(pool.acquire(ROLE, 20, n)) for n in range(5)]
    await eventually(lambda: pool.standing().waiting == 5)

    became_quick(pool)
    held = [await task for task in waiting]

    assert pool.standing().admitted == 6
    assert pool.standing().in_use == 6
    for one in (first, *held):
        pool.give_back(one)


async def test_who_has_a_connection_for_long_keeps_nobody_out(make_pool):
    pool = make_pool()
    async with in_use(pool, 3):
        pass
    became_slow(pool)
    report = pool.take(ROLE)

    read = await pool.acquire(ROLE, 20, "a")

    assert pool.standing().in_use == 2
    pool.give_back(read)
    pool.give_back(report)


async def test_a_connection_that_is_lost_lets_in_the_next(make_pool, eventually):
    pool = make_pool()
    async with in_use(pool, 3):
        pass
    became_slow(pool)
    first = pool.take(ROLE)
    waiting = [asyncio.create_task(pool.acquire(ROLE, 20, n)) for n in range(2)]
    await eventually(lambda: pool.standing().waiting == 2)

    pool.drop(first)
    second = await waiting[0]
    pool.discard(second)
    third = await waiting[1]

    assert pool.standing().in_use == 1
    pool.give_back(third)


async def test_a_caller_that_leaves_in_the_moment_of_its_turn_loses_nothing(make_pool, eventually):
    pool = make_pool()
    async with in_use(pool, 2):
        pass
    became_slow(pool)
    first = pool.take(ROLE)
    leaving, staying = (asyncio.create_task(pool.acquire(ROLE, 20, n)) for n in range(2))
    await eventually(lambda: pool.standing().waiting == 2)

    pool.give_back(first)
    leaving.cancel()
    held = await staying

    assert pool.standing().in_use == 1
    pool.give_back(held)
    assert (pool.standing().in_use, pool.standing().waiting) == (0, 0)


async def test_it_is_told_once_and_counted(make_pool):
    pool = make_pool()
    async with in_use(pool, 6):
        pass

    became_slow(pool)
    became_slow(pool, at=150)

    (told,) = pool.seen
    assert isinstance(told, InFlightLimited)
    assert (told.shard, told.endpoint, told.ceiling) == (SHARD, "s0-a", 6)
    assert told.most < 6
    assert told.inflation == pytest.approx(8)
    assert pool.standing().limited == 1


async def test_it_is_told_when_everything_may_run_again(make_pool, eventually, monkeypatch):
    monkeypatch.setattr("router.live.admission.ENDED_S", 0.5)
    pool = make_pool()
    became_slow(pool)
    became_quick(pool)

    await eventually(lambda: len(pool.seen) == 2)

    assert isinstance(pool.seen[1], InFlightLimitEnded)


async def test_a_limit_that_nobody_meets_is_forgotten(make_pool, eventually, monkeypatch):
    monkeypatch.setattr("router.live.admission.FORGOTTEN_S", 0.5)
    pool = make_pool()
    became_slow(pool)
    assert pool.standing().admitted == 1

    await eventually(lambda: pool.standing().admitted == 6)


async def test_switched_off_everything_may_always_run(make_pool):
    pool = make_pool(least=0)

    became_slow(pool)

    assert pool.standing().admitted == 6
    assert pool.seen == []


async def test_waiting_too_long_says_that_the_endpoint_is_slow(make_pool):
    pool = make_pool()
    async with in_use(pool, 6):
        pass
    became_slow(pool)
    held = pool.take(ROLE)

    with pytest.raises(Exception, match="1 of 6 in use, 1 admitted as it is slow"):
        await pool.acquire(ROLE, 0.01, "a")

    pool.give_back(held)
