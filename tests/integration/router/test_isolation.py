"""What several shards do that one PostgreSQL would not: each anomaly of docs/isolation.md, shown."""

import asyncio
from dataclasses import replace

import pytest

from router import (
    DeadlineExceeded,
    Part,
    PostgresBackends,
    Router,
    SharedFloors,
    SnapshotBusy,
    Statement,
    Step,
    Together,
)
from router.backend_settings import BackendSettings
from router.live.preamble import PASS_GATE
from shardmap import Pin, Sharded, ShardId, TableName, TenantId

A, B = ShardId("shard_0"), ShardId("shard_1")
SCHEMA = """
CREATE TABLE accounts (
    tenant_id int, id int, amount int NOT NULL, at timestamptz DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
GRANT ALL ON accounts TO service_role;
"""


@pytest.fixture
async def accounts(make_world, databases):
    world = await make_world()
    await databases.execute(SCHEMA, A, B)
    await world.backends.refresh_schema(now=True)
    return world


def routed(world, backends):
    shard_map = replace(
        world.shard_map,
        slots=(A, B) * 2048,
        pins={TenantId("1"): Pin(A), TenantId("2"): Pin(B)},
        tables={TableName("public.accounts"): Sharded("tenant_id")},
        default_placement=None,
    )
    return Router(backends, lambda: shard_map, world.backends.schema)


async def asked(world, router, sql, *args, session="writer"):
    who = world.asker("service_role", session=session)
    return await router.answer(Statement(sql, args), who)


async def test_a_gather_may_see_a_write_on_one_shard_and_not_on_the_other(accounts, login):
    world = accounts
    seen = []

    async def look(_):
        """Another process, at the very moment of the decision."""
        with SharedFloors(None) as floors:
            settings = BackendSettings(min_connections=0, recovery_interval_s=3600)
            async with PostgresBackends(
                world.shard_map, settings, login, floors, lambda _: None
            ) as backends:
                for shard in (A, B):
                    primary = world.writing("SELECT id FROM accounts")
                    reply = await backends.run(shard, primary, world.asker("service_role"))
                    seen.append(list(reply.rows))

    world.when(Step.DECIDED, look)
    insert = "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, 7, -5), (2, 7, 5)"
    await asked(world, routed(world, world.backends), insert)

    assert seen == [[(7,)], []]


async def test_no_snapshot_is_taken_between_the_commits_of_one_write(accounts, login):
    world = accounts
    refused = []

    async def look(_):
        """Another process, at the very moment of the decision."""
        with SharedFloors(None) as floors:
            settings = BackendSettings(min_connections=0, recovery_interval_s=3600)
            async with PostgresBackends(
                world.shard_map, settings, login, floors, lambda _: None
            ) as backends:
                who = world.asker("service_role", seconds=1.0)._replace(snapshot=True)
                try:
                    await routed(world, backends).answer(Statement("SELECT id FROM accounts"), who)
                except SnapshotBusy as error:
                    refused.append(error.code)

    world.when(Step.DECIDED, look)
    router = routed(world, world.backends)
    insert = "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, 7, -5), (2, 7, 5)"
    await asked(world, router, insert)
    who = world.asker("service_role", session="reader")._replace(snapshot=True)

    assert refused == ["P208"]
    found = await router.answer(Statement("SELECT id FROM accounts"), who)
    assert list(found.rows) == [(7,), (7,)]


async def test_snapshots_among_transfers_always_see_the_same_sum(accounts):
    world = accounts
    router = routed(world, world.backends)
    insert = "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, 1, 50), (2, 1, 50)"
    await asked(world, router, insert)
    transfer = (
        "UPDATE accounts SET amount = amount + CASE tenant_id WHEN 1 THEN -1 ELSE 1 END"
        " WHERE tenant_id IN (1, 2)"
    )
    done = asyncio.Event()
    plain, snapshots = set(), set()

    async def write():
        transfers = 0
        while not done.is_set():
            await asked(world, router, transfer)
            transfers += 1
        return transfers

    async def read(into, **options):
        who = world.asker("service_role", session="reader")._replace(**options)
        rows = (await router.answer(Statement("SELECT amount FROM accounts"), who)).rows
        into.add(sum(row[0] for row in rows))

    writing = asyncio.create_task(write())
    for _ in range(40):
        await read(snapshots, snapshot=True)
    await accounts.until(lambda: _read_until_torn(read, plain))
    done.set()

    assert await writing > 5
    assert snapshots == {100}


async def _read_until_torn(read, plain):
    await read(plain)
    return len(plain) > 1


async def test_a_snapshot_stops_no_write_on_one_shard(accounts):
    world = accounts
    router = routed(world, world.backends)
    who = world.asker("service_role")._replace(snapshot=True)
    async with world.backends.snapshot((A, B), who) as reads:
        await asked(world, router, "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, 1, 0)")
        await asked(
            world,
            router,
            "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, 2, 0), (2, 2, 0)",
        )
        query = world.reading("SELECT id FROM accounts")
        found = [list((await reads.run(shard, query, who)).rows) for shard in (A, B)]

    assert found == [[], []]


async def test_a_snapshot_is_refused_by_name_while_a_prepared_write_does_not_end(accounts):
    world = accounts
    async with world.superuser("shard_1-a") as connection:
        await connection.execute(f"BEGIN; {PASS_GATE}; PREPARE TRANSACTION 'left behind'")
        who = world.asker("service_role", seconds=1.0)._replace(snapshot=True)
        router = routed(world, world.backends)
        try:
            with pytest.raises(SnapshotBusy):
                await router.answer(Statement("SELECT id FROM accounts"), who)
        finally:
            await connection.execute("ROLLBACK PREPARED 'left behind'")

        await router.answer(Statement("SELECT id FROM accounts"), world.asker("service_role"))


async def test_the_writers_own_session_sees_all_of_it_at_once_afterwards(accounts):
    router = routed(accounts, accounts.backends)
    for number in range(5):
        insert = "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, $1, 0), (2, $1, 0)"
        await asked(accounts, router, insert, number)

        found = await asked(accounts, router, "SELECT id FROM accounts WHERE id = $1", number)

        assert found.rows == [(number,), (number,)]


async def test_now_is_each_shards_own(accounts):
    router = routed(accounts, accounts.backends)
    number = 0

    async def differ():
        nonlocal number
        number += 1
        insert = (
            "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, $1, 0), (2, $1, 0)"
            " RETURNING at"
        )
        first, second = (await asked(accounts, router, insert, number)).rows
        return first != second

    await accounts.until(differ)


async def test_two_writes_that_wait_for_each_other_on_two_shards_end_with_their_time(accounts):
    world = accounts
    insert = "INSERT INTO accounts (tenant_id, id, amount) VALUES (1, 1, 0), (2, 1, 0)"
    await asked(world, routed(world, world.backends), insert)
    change = world.writing("UPDATE accounts SET amount = amount + 1")
    waiting = "SELECT pg_advisory_xact_lock({}), 1 AS n"

    def crossed(late, gate):
        """A write that changes its row on one shard at once, on the other when the gate opens."""
        gated = world.writing(
            f"WITH gate AS MATERIALIZED ({waiting.format(gate)})"
            " UPDATE accounts SET amount = amount + n FROM gate"
        )
        parts = {A: change, B: change, late: gated}
        who = world.asker("service_role", seconds=1.5)
        return world.backends.run_together(
            Together(tuple(Part(shard, parts[shard]) for shard in (A, B))), who
        )

    async with world.superuser("shard_0-a") as first, world.superuser("shard_1-a") as second:
        await first.execute("SELECT pg_advisory_lock(1)")
        await second.execute("SELECT pg_advisory_lock(2)")
        writes = [
            asyncio.ensure_future(crossed(A, 1)),  # has B's row, waits at A
            asyncio.ensure_future(crossed(B, 2)),  # has A's row, waits at B
        ]
        for connection in (first, second):
            await world.until(lambda connection=connection: _one_waits(connection))
        await first.execute("SELECT pg_advisory_unlock(1)")
        await second.execute("SELECT pg_advisory_unlock(2)")
        ended = await asyncio.gather(*writes, return_exceptions=True)

        amounts = [await one.fetchval("SELECT amount FROM accounts") for one in (first, second)]

    refused = [one for one in ended if isinstance(one, DeadlineExceeded)]
    assert refused
    assert amounts == [2 - len(refused)] * 2


async def _one_waits(connection):
    """One write has its row here, and the other is at the gate."""
    return await connection.fetchval(
        "SELECT count(*) = 1 AND (SELECT count(*) FROM pg_stat_activity"
        " WHERE state = 'idle in transaction' AND datname = current_database()) = 1"
        " FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
