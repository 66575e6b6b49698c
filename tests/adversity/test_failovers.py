"""Failovers by command, and writes that are repeated under their keys until they succeed.

After each, every write of a keyed client is there exactly once, whatever it was told meanwhile.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.failover import Asked, Servers, Streaming, make_plan
from shardmap import Durability, resolve

ATTACKED = "shard_0"
COMMITTING = "wait_event = 'SyncRep'"
AT_THE_CUT = {"503 P203", "503 P202", "500 COMMIT_UNKNOWN", "409 IDEMPOTENCY_REQUEST_IN_PROGRESS",
              "504 P301"}  # fmt: skip


async def events(world, session):
    """How often each event of the session is there, by the primary itself."""
    async with world.superuser(world.primary()) as connection:
        rows = await connection.fetch(
            "SELECT number, count(*) FROM events WHERE author = $1 GROUP BY number", session.name
        )
    return Counter(dict(rows))


async def check(world, writers):
    """Every write was done exactly once, and nobody was told what is not documented."""
    for writer in writers:
        assert writer.wrong == []
        assert writer.told.keys() <= AT_THE_CUT
        assert await events(world, writer.session) == Counter(writer.done)


async def more(writers, count=10):
    """Wait until each writer has got on."""
    wanted = [len(writer.done) + count for writer in writers]
    async with asyncio.timeout(60):
        while any(len(one.done) < least for one, least in zip(writers, wanted, strict=True)):
            assert not any(writer.wrong for writer in writers)
            await asyncio.sleep(0.01)


async def command(world, *arguments):
    """What `fluxshard failover --json` prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", "failover", *arguments, "--json",
        "--dir", str(world.cluster.directory),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_a_killed_primary_is_succeeded_by_command_and_no_write_is_lost_or_done_twice(
    world, steady, keyed, http
):
    async with steady.at_work(), keyed() as writers:
        await more(writers)
        old = world.primary()
        await world.crash(old)
        done = await command(world, ATTACKED)
        await more(writers)
        await world.agreed(
            http,
            lambda health: health["shards"][ATTACKED]["endpoints"][old]["state"] == "replica",
        )
        await more(writers)

    assert done["kind"] == "failover"
    assert done["heir"] == world.primary() != old
    assert steady.failures("read") == {}
    await check(world, writers)


async def test_a_switchover_by_command_loses_no_write_and_does_none_twice(world, steady, keyed):
    async with steady.at_work(), keyed() as writers:
        await more(writers)
        old = world.primary()
        done = await command(world, ATTACKED)
        await more(writers)

    assert (done["kind"], done["old"]) == ("switchover", old)
    assert steady.failures("read") == {}
    await check(world, writers)


@asynccontextmanager
async def mended_by_hand(world):
    """What SQL has set on the servers is taken back, so that the cluster's own files count."""
    servers = world.servers()
    try:
        yield
    finally:
        await world.cluster.stop(servers[0])
        for server in servers[1:]:
            async with world.superuser(server) as connection:
                for name in ("primary_conninfo", "synchronous_standby_names"):
                    await connection.execute(f"ALTER SYSTEM RESET {name}")


async def test_a_frozen_primary_that_goes_on_after_its_succession_is_fenced_and_changes_nothing(
    world, keyed, http
):
    (shard,) = (one for one in world.cluster.endpoints().shards if one.id == ATTACKED)
    servers = Servers(shard.endpoints, lambda endpoint: resolve(endpoint, {}))
    old = world.primary()
    async with mended_by_hand(world):
        async with keyed() as writers:
            await more(writers)
            with world.frozen(old):
                facts = await servers.facts()
                plan = make_plan(Asked(ATTACKED, Durability.QUORUM), facts)
                done = await Streaming(servers, lambda _: None).carry_out(plan, facts)
                await more(writers)
            await world.agreed(
                http,
                lambda health: health["shards"][ATTACKED]["endpoints"][old]["state"] == "fenced",
            )
            await more(writers)
        async with world.superuser(done.plan.heir) as connection:
            for writer in writers:
                rows = await connection.fetch(
                    "SELECT number, count(*) FROM events WHERE author = $1 GROUP BY number",
                    writer.session.name,
                )
                assert Counter(dict(rows)) == Counter(writer.done)
                assert writer.wrong == []

    assert (plan.old, plan.lost) == (None, (old,))


@pytest.mark.parametrize("succeeded", [False, True])
async def test_repeated_with_its_key_a_write_of_unknown_outcome_is_there_once(
    world, session, http, succeeded
):
    user = session(table="events")
    headers = {**user.headers, "Idempotency-Key": "k"}
    row = {"author": user.name, "number": 1}

    async def write():
        async with http.post(f"{world.url}/rest/v1/events", json=row, headers=headers) as answer:
            return answer.status, answer.headers.get("Idempotency-Replayed")

    primary = world.primary()
    with world.frozen(primary, title="walsender"):
        writing = asyncio.create_task(write())
        await world.until_sessions([primary], COMMITTING, 1)
        await world.crash(primary)
    first = await writing
    if succeeded:
        await world.cluster.promote(ATTACKED)
    await world.mend(http)
    second, third = await write(), await write()

    assert first == (500, None)
    assert second == (201, None if succeeded else "true")
    assert third == (201, "true")
    assert await events(world, user) == {1: 1}


async def test_a_key_in_use_elsewhere_is_refused_at_once_while_its_commit_waits(
    world, session, http
):
    user = session(table="events")
    headers = {**user.headers, "Idempotency-Key": "waits"}
    row = {"author": user.name, "number": 1}
    url = f"{world.url}/rest/v1/events"

    async def write():
        async with http.post(url, json=row, headers=headers) as answer:
            return answer.status

    with world.frozen(*world.replicas()):
        first = asyncio.create_task(write())
        await world.until_sessions([world.primary()], COMMITTING, 1)
        second = await write()
    assert second in {409, 503}  # 503: the replicas confirm nothing, so nothing is begun
    assert await first == 201
    assert await events(world, user) == {1: 1}
