"""Writes that wait for a primary."""

import asyncio

from router.live.holding import Holding


def holding(most=10):
    hurried = []
    return Holding(most, hurried.append), hurried


async def waits(held, name, order):
    with held.place() as place:
        await place.called
        order.append(name)


async def test_held_writes_go_on_in_the_order_they_came():
    held, _ = holding()
    order = []

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(waits(held, name, order))
        await asyncio.sleep(0)
        held.release()

    assert order == ["a", "b", "c"]
    assert len(held) == 0


async def test_probes_hurry_as_long_as_somebody_waits():
    held, hurried = holding()

    with held.place(), held.place():
        assert hurried == [True]

    assert hurried == [True, False]


async def test_a_write_that_leaves_gives_up_its_place():
    held, _ = holding(most=1)
    order = []
    left = asyncio.create_task(waits(held, "left", order))
    await asyncio.sleep(0)
    assert held.full

    left.cancel()
    await asyncio.wait({left})

    assert not held.full
    held.release()
    assert order == []


async def test_whoever_has_to_wait_again_waits_behind_the_others():
    held, _ = holding()
    order = []

    async def twice():
        with held.place() as place:
            await place.called
            place.take()
            await place.called
            order.append("twice")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(twice())
        await asyncio.sleep(0)
        held.release()
        tasks.create_task(waits(held, "once", order))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        held.release()

    assert sorted(order) == ["once", "twice"]
