"""Reads whose rows are fetched when they are asked for, on real servers."""

import asyncio
import contextlib

import pytest

from router import (
    WHOLE_ROWS,
    Deadline,
    DeadlineExceeded,
    PoolTimeout,
    ReadRetried,
    ShardDown,
    SharedFloors,
    StatementFailed,
    StatementServed,
)
from shardmap import ShardId

SHARD = ShardId("shard_0")
SERIES = "SELECT n, repeat('x', 100) FROM generate_series(1, 5000) AS n"
FAILS = "SELECT 1 / (4000 - n) FROM generate_series(1, 5000) AS n"


@pytest.fixture
def open_rows(world):
    async def open_(sql, *args, until_s=60.0, claims=False, claims_text="{}", **who):
        return await world.backends.open(
            SHARD,
            world.reading(sql, *args, claims=claims),
            world.asker(claims=claims_text, **who),
            Deadline.after(until_s),
        )

    return open_


async def drained(rows):
    """Every row that is left."""
    found = []
    while batch := await rows.batch():
        found += batch
    return found


def busy(world):
    return sum(one.in_flight for one in world.status().endpoints)


def open_transactions(world):
    """How many sessions of any server are in a transaction, besides the one that asks."""

    async def count():
        total = 0
        for server in (world.PRIMARY, *world.REPLICAS):
            async with world.superuser(server) as connection:
                total += await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle'"
                    " AND datname = current_database() AND pid <> pg_backend_pid()"
                )
        return total

    return count


async def freed(world):
    """Wait until no connection is used and no transaction is open."""
    count = open_transactions(world)

    async def nothing():
        return busy(world) == 0 and await count() == 0

    await world.until(nothing)


@pytest.mark.parametrize("claims", [False, True], ids=["plain", "claims"])
async def test_all_rows_come_in_order_in_bounded_batches(world, open_rows, claims):
    rows = await open_rows(SERIES, claims=claims)
    batches = []
    while batch := await rows.batch():
        batches.append(batch)

    assert [row[0] for batch in batches for row in batch] == list(range(1, 5001))
    assert len(batches[0]) == WHOLE_ROWS + 1
    assert max(map(len, batches)) <= WHOLE_ROWS + 1
    assert rows.ended
    assert list(await rows.batch()) == []
    assert rows.served.endpoint in world.REPLICAS
    assert rows.columns == ("n", "repeat")
    await freed(world)
    assert len(world.observed(StatementServed)) == 1


async def test_large_rows_come_few_at_a_time(world, open_rows):
    rows = await open_rows("SELECT repeat('x', 100000) FROM generate_series(1, 1010)")
    await rows.batch()

    assert len(await rows.batch()) == 1


async def test_the_transaction_ends_with_the_last_batch_and_not_with_the_one_after(
    world, open_rows
):
    rows = await open_rows("SELECT 1")

    assert rows.ended
    assert busy(world) == 0
    assert [tuple(row) for row in await rows.batch()] == [(1,)]


async def test_rows_are_of_one_snapshot(world, open_rows):
    await world.write("INSERT INTO notes (id) SELECT n FROM generate_series(1, 3000) AS n")
    rows = await open_rows("SELECT id FROM notes ORDER BY id")
    await world.write("DELETE FROM notes WHERE id > 2000")

    assert [row[0] for row in await drained(rows)] == list(range(1, 3001))


async def test_a_cursor_raises_the_floor_of_its_session_before_its_first_row(
    cluster, databases, open_world
):
    floors = SharedFloors(None)
    world = await open_world(cluster, databases.name, floors=floors)
    before = floors.floor("reader", SHARD)

    rows = await world.backends.open(
        SHARD, world.reading(SERIES), world.asker(session="reader"), Deadline.after(60)
    )

    assert before is None
    assert floors.floor("reader", SHARD) is not None
    rows.abandon()


async def test_a_cursor_sees_what_its_session_has_written(world, open_rows):
    for number in range(20):
        await world.write("INSERT INTO notes (id) VALUES ($1)", number, session="writer")
        rows = await open_rows("SELECT count(*) FROM notes", session="writer")

        assert [tuple(row) for row in await rows.batch()] == [(number + 1,)]


async def test_role_claims_and_tenant_are_those_of_the_caller(world, open_rows):
    sql = (
        "SELECT current_user::text, current_setting('request.jwt.claims'),"
        " current_setting('fluxshard.tenant'), current_setting('transaction_read_only')"
    )
    rows = await open_rows(sql, claims=True, role="anon", claims_text='{"a":1}', tenant="7")

    assert [tuple(row) for row in await rows.batch()] == [("anon", '{"a":1}', "7", "on")]


async def test_the_connection_is_clean_afterwards(make_world):
    world = await make_world(max_connections=2)
    for _ in range(3):
        rows = await world.backends.open(
            SHARD, world.reading(SERIES, claims=True), world.asker(), Deadline.after(60)
        )
        await rows.batch()
        rows.abandon()
        await freed(world)

    for _ in range(6):
        reply = await world.read("SELECT coalesce(current_setting('request.jwt.claims', true), '')")
        assert reply.rows == [("",)]
    assert max(one.connections for one in world.status().endpoints) <= 2


async def test_an_abandoned_cursor_frees_its_connection_and_ends_its_transaction(world, open_rows):
    rows = await open_rows(SERIES)
    await rows.batch()
    assert busy(world) == 1

    rows.abandon()
    rows.abandon()

    assert busy(world) == 0
    await freed(world)


async def test_a_batch_that_is_cancelled_ends_its_statement(world, open_rows):
    slow = "SELECT n, CASE WHEN n > 1100 THEN pg_sleep(60) END FROM generate_series(1, 5000) AS n"
    rows = await open_rows(slow)
    await rows.batch()
    call = asyncio.create_task(rows.batch())
    count = open_transactions(world)
    await world.until(lambda: not call.done())

    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call

    rows.abandon()
    await freed(world)
    assert await count() == 0


async def test_an_error_in_a_later_batch_has_its_name_and_frees_all(world, open_rows):
    rows = await open_rows(FAILS)
    with pytest.raises(StatementFailed) as caught:
        await drained(rows)

    assert caught.value.sqlstate == "22012"
    assert not rows.ended
    await freed(world)


async def test_after_an_error_there_are_no_rows_and_no_silent_end(world, open_rows):
    rows = await open_rows(FAILS)
    with pytest.raises(StatementFailed):
        await drained(rows)

    with pytest.raises(AssertionError):
        await rows.batch()


async def test_time_that_runs_out_between_batches_is_told_by_name(world, open_rows):
    rows = await open_rows(SERIES)
    await rows.batch()
    rows._until = Deadline.after(0)

    with pytest.raises(DeadlineExceeded):
        await rows.batch()
    await freed(world)


async def test_time_that_runs_out_before_the_first_batch_is_told_by_name(world, open_rows):
    with pytest.raises(DeadlineExceeded):
        await open_rows("SELECT pg_sleep(60)", seconds=0.2)

    await freed(world)


async def test_a_policy_that_was_not_known_is_met_with_claims(world, open_rows):
    await world.write("INSERT INTO notes (id, owner) VALUES (1, 'a'), (2, 'b')")
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute(
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY own ON notes TO authenticated"
            " USING (owner = current_setting('request.jwt.claims')::json ->> 'sub')"
        )
        position = await connection.fetchval("SELECT pg_current_wal_flush_lsn()")
    for server in world.REPLICAS:
        async with world.superuser(server) as connection:

            async def there(connection=connection):
                return await connection.fetchval("SELECT pg_last_wal_replay_lsn()") >= position

            await world.until(there)

    rows = await open_rows("SELECT id FROM notes", claims_text='{"sub": "b"}')

    assert [tuple(row) for row in await rows.batch()] == [(2,)]


async def test_large_answers_never_take_all_connections_of_an_endpoint(make_world):
    world = await make_world(max_connections=4, acquire_timeout_s=0.2)
    opened = []

    async def open_many():
        while True:
            opened.append(
                await world.backends.open(
                    SHARD, world.reading(SERIES), world.asker(), Deadline.after(60)
                )
            )

    with pytest.raises(PoolTimeout) as caught:
        await open_many()

    assert "large answers" in caught.value.message
    assert len(opened) >= 2
    assert (await world.read("SELECT 1")).rows == [(1,)]
    for rows in opened:
        rows.abandon()
    await freed(world)
    rows = await world.backends.open(
        SHARD, world.reading(SERIES), world.asker(), Deadline.after(60)
    )
    rows.abandon()


async def test_a_server_that_ends_the_session_before_the_first_row_is_tried_elsewhere(
    world, open_rows
):
    for _ in range(6):  # sessions to be ended
        (await open_rows("SELECT 1")).abandon()
    for server in world.REPLICAS:
        async with world.superuser(server) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'fluxshard' AND datname = current_database()"
                " AND pid <> pg_backend_pid()"
            )

    rows = await open_rows("SELECT 1")

    assert [tuple(row) for row in await rows.batch()] == [(1,)]


async def test_a_server_that_ends_the_session_between_rows_is_not_replaced(world, open_rows):
    rows = await open_rows(SERIES)
    await rows.batch()
    retried = len(world.observed(ReadRetried))
    async with world.superuser(rows.served.endpoint) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE state = 'idle in transaction' AND datname = current_database()"
        )

    with pytest.raises(ShardDown):
        await drained(rows)

    assert len(world.observed(ReadRetried)) == retried
    await freed(world)
