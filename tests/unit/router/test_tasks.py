"""Tasks end with their owner, and their errors are heard."""

import asyncio

from router.tasks import TaskOwner


async def test_what_is_running_is_cancelled_and_awaited():
    ended = []

    async def work(name):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async with TaskOwner() as owner:
        owner.start(work("a"), name="a")
        owner.start(work("b"), name="b")
        await asyncio.sleep(0)

    assert sorted(ended) == ["a", "b"]


async def test_after_the_owner_left_nothing_starts():
    started = []

    async def work():
        started.append(1)

    owner = TaskOwner()
    async with owner:
        pass

    assert owner.start(work(), name="late") is None
    await asyncio.sleep(0)
    assert started == []


async def test_a_task_started_while_the_owner_leaves_is_ended_too():
    ended = []

    async def child():
        ended.append("never")

    async def work(owner):
        try:
            await asyncio.Event().wait()
        finally:
            assert owner.start(child(), name="child") is None

    async with TaskOwner() as owner:
        owner.start(work(owner), name="parent")
        await asyncio.sleep(0)

    assert ended == []


async def test_an_error_reaches_the_loops_handler_and_cancels_nobody():
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    going_on = asyncio.Event()

    async def broken():
        raise LookupError("x")

    async def healthy():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        going_on.set()

    async with TaskOwner() as owner:
        owner.start(healthy(), name="healthy")
        owner.start(broken(), name="broken")
        await going_on.wait()

    assert [type(context["exception"]) for context in heard] == [LookupError]
    assert "broken" in heard[0]["message"]
