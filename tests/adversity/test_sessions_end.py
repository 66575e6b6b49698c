"""Sessions with PostgreSQL, workers and clients end in the middle of their work."""

import asyncio
import os
import signal
from contextlib import suppress

SPARED = "shard_1"
WORKERS = 2
REQUEST_TIMEOUT_S = 6
"""As in conftest: a statement lives no longer than its request."""
ROUNDS = 5
END_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fluxshard'"
)
WAITING = "wait_event_type = 'Lock'"
COMMITTING = "wait_event = 'SyncRep'"


async def test_sessions_that_the_servers_end_cost_no_read_and_lose_no_write(world, steady):
    async with steady.at_work():
        for _ in range(ROUNDS):
            for server in world.cluster.servers():
                async with world.superuser(server.name) as connection:
                    await connection.execute(END_ALL)
            await steady.more(reads=5, writes=2)

    assert steady.failures("read") == {}
    assert steady.failures("write").keys() <= {"503 P203", "500 COMMIT_UNKNOWN"}


async def test_a_killed_worker_costs_only_what_it_had_begun(world, steady):
    async with steady.at_work():
        victim, survivor = world.workers
        os.kill(victim, signal.SIGKILL)

        async def replaced():
            workers = world.workers
            return survivor in workers and victim not in workers and len(workers) == WORKERS

        await world.until(replaced)
        await steady.more(reads=20, writes=10)

    for one in steady.sessions:
        for log in (one.writes, *one.reads):
            failed = [str(answer) for answer in log if not answer.good]
            assert failed in ([], ["broken"])


async def leave(asking):
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def test_a_client_that_leaves_ends_its_read_on_the_replica(world, session, http):
    user = session()
    async with world.locked():
        reading = asyncio.create_task(user.read(http))
        await world.until_sessions(world.replicas(), WAITING, 1)

        async with asyncio.timeout(REQUEST_TIMEOUT_S / 2):  # then its end is not the deadline's
            await leave(reading)
            await world.until_sessions(world.replicas(), WAITING, 0)


async def test_a_client_that_leaves_ends_its_write_and_nothing_of_it_remains(world, session, http):
    user, primary = session(), world.primary()
    async with world.locked():
        writing = asyncio.create_task(user.write(http))
        await world.until_sessions([primary], WAITING, 1)

        async with asyncio.timeout(REQUEST_TIMEOUT_S / 2):
            await leave(writing)
            await world.until_sessions([primary], WAITING, 0)

    assert await world.rows(user) == []


async def test_a_client_that_leaves_while_its_write_commits_leaves_it_whole(world, session, http):
    user, primary, other = session(), world.primary(), session(SPARED)
    with world.frozen(primary, title="walsender"):
        writing = asyncio.create_task(user.write(http))
        await world.until_sessions([primary], COMMITTING, 1)

        await leave(writing)
        for _ in range(20):  # the server has gone on, and would have ended it by now
            await other.write(http)

        assert await world.sessions([primary], COMMITTING) == 1

    async def whole():
        return await world.rows(user) == [(1, 0), (1, 1), (1, 2)]

    await world.until(whole)
