"""The turnstile: who is let in, in which order, and who is turned away."""

import asyncio
from collections import Counter

import pytest

from server.errors import Overloaded
from server.front.turnstile import CALM_TICKS, PER_ROUND, Turnstile
from server.observe.facts import OverloadBegan, OverloadEnded


@pytest.fixture
def facts():
    return []


@pytest.fixture
def turnstile(facts):
    return Turnstile(0.5, facts.append)


async def arrivals(turnstile, *parties):
    """Those who came, in the order in which they were let in; with who was turned away."""
    order, away = [], []

    async def one(party):
        try:
            await turnstile.turn(party)
        except Overloaded:
            away.append(party)
        else:
            order.append(party)

    async with asyncio.TaskGroup() as tasks:
        for party in parties:
            tasks.create_task(one(party))
    return order, away


async def test_a_flood_lets_each_other_party_pass_first(turnstile):
    order, away = await arrivals(turnstile, *["flood"] * 500, "a", "b", "a")

    assert Counter(order) == {"flood": 500, "a": 2, "b": 1}
    assert {"a", "b"} <= set(order[:4])
    assert order[:7].count("a") == 2
    assert (away, turnstile.shed, len(turnstile)) == ([], 0, 0)


async def test_only_a_few_are_let_in_with_one_round_of_the_loop(turnstile):
    inside, most = 0, 0

    async def one(party):
        nonlocal inside, most
        await turnstile.turn(party)
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(one(number % 3))

    assert most <= 2 * PER_ROUND


async def test_the_flood_is_turned_away_and_others_are_not(turnstile):
    turnstile._queue.most = 100  # as if the queue had stood for too long

    order, away = await arrivals(turnstile, *["flood"] * 1000, *"abcdefghij")

    assert set(away) == {"flood"}
    assert Counter(order) == {"flood": 90, **Counter("abcdefghij")}
    assert turnstile.shed == len(away) == 910


async def test_who_leaves_while_waiting_leaves_no_trace(turnstile):
    waiting = [asyncio.ensure_future(turnstile.turn("a")) for _ in range(2 * PER_ROUND)]
    leaving = asyncio.ensure_future(turnstile.turn("b"))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(*waiting)

    assert leaving.cancelled()
    assert (len(turnstile), dict(turnstile._since)) == (0, {})


async def test_an_overload_is_told_of_once_and_its_end_too(turnstile, facts):
    loop = asyncio.get_running_loop()
    waiting = [asyncio.ensure_future(turnstile.turn("a")) for _ in range(200)]
    await asyncio.sleep(0)
    turnstile._since = dict.fromkeys(turnstile._since, loop.time() - 60)  # they came long ago

    with turnstile:
        for _ in range(20):
            turnstile._tick(loop.time() - 1)
        standing = len(turnstile)
        gone = await asyncio.gather(*waiting, return_exceptions=True)
        for _ in range(CALM_TICKS):
            turnstile._tick(loop.time())

    assert standing == 32  # nothing was served yet: the least that may wait
    assert sum(isinstance(one, Overloaded) for one in gone) == 168
    assert [type(fact) for fact in facts] == [OverloadBegan, OverloadEnded]
    assert facts[1].shed == 168
