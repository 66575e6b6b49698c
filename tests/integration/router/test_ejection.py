"""Replicas on which reads fail though their probes are well: left out, tried out, taken back."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from router import DeadlineExceeded, Ejecting, StatementFailed, TrustChanged

ILL, WELL = "shard_0-b", "shard_0-c"
SORT = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 5000) g ORDER BY g DESC OFFSET 0) s"
"""Needs no file with the memory that sorts have by default."""
COUNT = "SELECT count(*) FROM notes"


def trusts(world, endpoint):
    return [one.trust for one in world.observed(TrustChanged) if one.endpoint == endpoint]


async def read_until(world, condition, sql, seconds=5.0):
    """Read until it is true; some reads fail."""
    async with asyncio.timeout(40):
        while not condition():
            with suppress(DeadlineExceeded, StatementFailed):
                await world.read(sql, seconds=seconds)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def without_files(world, until, server):
    """The server has no room for temporary files, so that sorts fail there with 53400."""
    settings = {"work_mem": "'64kB'", "temp_file_limit": "0"}

    async def reload(session):
        await session.execute("SELECT pg_reload_conf()")

    async with world.superuser(server) as session:
        for name, value in settings.items():
            await session.execute(f"ALTER SYSTEM SET {name} = {value}")
        await reload(session)
        await until(lambda: session.fetchval("SELECT current_setting('work_mem') = '64kB'"))
        yield
        await session.execute("ALTER SYSTEM RESET ALL")
        await reload(session)


@pytest.fixture
def open_careful(disposable_open):
    """A world that ejects soon, and for short times."""

    async def make(**rules):
        quick = Ejecting(**{"failures_in_row": 3, "first_s": 0.3, "longest_s": 1.0, **rules})
        return await disposable_open(ejecting=quick, slow_start_s=1.0, max_lag_s=1000.0)

    return make


async def test_a_replica_on_which_reads_fail_is_left_out_tried_out_and_taken_back(
    open_careful, until
):
    world = await open_careful()

    async with without_files(world, until, ILL):
        await read_until(world, lambda: "ejected" in trusts(world, ILL), SORT)
        assert world.endpoint(ILL).state == "replica"
        await read_until(world, lambda: trusts(world, ILL).count("ejected") >= 3, SORT)
    await read_until(world, lambda: trusts(world, ILL)[-1] == "trusted", SORT)

    assert trusts(world, ILL)[:4] == ["ejected", "on trial", "ejected", "on trial"]
    assert trusts(world, WELL) == []
    assert {one.reason for one in world.observed(TrustChanged)} == {"failures", "trial", ""}
    await read_until(world, lambda: world.endpoint(ILL).share == 1.0, SORT)
    served = {(await world.read(SORT)).served.endpoint for _ in range(20)}
    assert served == {ILL, WELL}


async def test_one_that_is_left_out_answers_nothing(open_careful, until):
    world = await open_careful(first_s=30.0, longest_s=30.0)

    async with without_files(world, until, ILL):
        await read_until(world, lambda: trusts(world, ILL) == ["ejected"], SORT)
        served = [(await world.read(SORT)).served.endpoint for _ in range(20)]

    assert set(served) == {WELL}


async def test_what_fails_on_all_replicas_ejects_none(open_careful, until):
    world = await open_careful()

    async with without_files(world, until, ILL), without_files(world, until, WELL):
        for _ in range(40):
            with pytest.raises(StatementFailed) as refused:
                await world.read(SORT)
            assert refused.value.sqlstate == "53400"

    assert world.observed(TrustChanged) == []


async def test_one_that_times_out_while_the_other_answers_is_left_out(open_careful, until):
    """A lock that one replica has replayed, and the other has not, holds up reads there alone."""
    world = await open_careful(first_s=30.0, longest_s=30.0)
    async with world.superuser(WELL) as well, world.superuser(world.PRIMARY) as primary:
        await well.execute("SELECT pg_wal_replay_pause()")
        await until(lambda: well.fetchval("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        await primary.execute("BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
        await primary.execute(
            "SELECT pg_switch_wal()"
        )  # or it would be flushed with the next commit

        await read_until(world, lambda: trusts(world, ILL) == ["ejected"], COUNT, seconds=0.3)

        assert (await world.read(COUNT)).served.endpoint == WELL
        await primary.execute("COMMIT")
        await well.execute("SELECT pg_wal_replay_resume()")


async def test_the_last_ones_answer_though_they_are_left_out(open_careful, until):
    world = await open_careful(first_s=30.0, longest_s=30.0)
    async with without_files(world, until, ILL):
        await read_until(world, lambda: trusts(world, ILL) == ["ejected"], SORT)

    for server in (world.PRIMARY, WELL):
        await world.cluster.kill(server)
    await until(lambda: world.endpoint(world.PRIMARY).state == "down")
    await until(lambda: world.endpoint(WELL).state == "down")

    assert (await world.read(SORT)).served.endpoint == ILL
