"""What a write in flight is told when the primary dies, and what then is in the table."""

import asyncio

ATTACKED = "shard_0"
COMMITTING = "wait_event = 'SyncRep'"
BATCH = [(1, 0), (1, 1), (1, 2)]
"""The rows of a session's first entry."""


async def cut_while_it_commits(world, user, http):
    """Crash the primary after it has written a commit that no replica has got; the answer."""
    primary = world.primary()
    with world.frozen(primary, title="walsender"):
        writing = asyncio.create_task(user.write(http))
        await world.until_sessions([primary], COMMITTING, 1)
        await world.crash(primary)
    return await writing


async def test_a_write_cut_while_it_commits_is_unknown_and_wholly_there_when_the_primary_is_back(
    world, session, http
):
    user = session()

    answer = await cut_while_it_commits(world, user, http)
    before = await user.read(http)
    await world.mend(http)

    assert (answer.status, answer.code, answer.retry_after) == (500, "COMMIT_UNKNOWN", None)
    assert (before.status, before.body) == (200, [])
    assert await world.rows(user) == BATCH


async def test_a_write_cut_while_it_commits_is_unknown_and_wholly_gone_after_a_succession(
    world, session, http
):
    user = session()

    old = world.primary()
    answer = await cut_while_it_commits(world, user, http)
    heir = await world.cluster.promote(ATTACKED)
    after = await world.rows(user)
    await world.mend(http)

    assert world.primary() == heir != old
    assert (answer.status, answer.code, answer.retry_after) == (500, "COMMIT_UNKNOWN", None)
    assert after == await world.rows(user) == []


async def test_a_write_cut_before_it_commits_may_be_repeated(world, session, http):
    user = session()
    async with world.superuser(world.primary()) as connection:
        await connection.execute("BEGIN; LOCK TABLE entries IN EXCLUSIVE MODE")
        writing = asyncio.create_task(user.write(http))
        await world.until_sessions([world.primary()], "wait_event_type = 'Lock'", 1)

        await world.crash(world.primary())
        answer = await writing
    await world.mend(http)
    there = await world.rows(user)
    user.last = 0
    again = await user.write(http)

    assert (answer.status, answer.code, answer.retry_after) == (503, "P203", "1")
    assert there == []
    assert again.status == 201
    assert await world.rows(user) == BATCH


async def test_a_write_begun_without_a_primary_may_be_repeated(world, session, http):
    user = session()
    await world.crash(world.primary())

    answer = await user.write(http)
    await world.mend(http)
    there = await world.rows(user)
    user.last = 0
    again = await user.write(http)

    assert (answer.status, answer.code, answer.retry_after) == (503, "P203", "1")
    assert there == []
    assert again.status == 201
