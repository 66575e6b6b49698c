"""Ids made by the servers: unique on all shards, in order of time, whatever the clock does."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from router import prepare_database
from shardmap import NumberTaken, claim_number, read_number

EPOCH_MS = 1767225600000
NOW_MS = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
SHARDS = {"shard_0-a": 1, "shard_1-a": 2}


@pytest.fixture
async def sessions(databases):
    """`await sessions(server)`: a session on a prepared database of the server."""
    async with AsyncExitStack() as stack:

        async def connect(server="shard_0-a"):
            connection = await asyncpg.connect(databases.url(server))
            stack.push_async_callback(connection.close)
            await prepare_database(connection, number=SHARDS[server])
            return connection

        yield connect


async def ids(session, count, function="next_id"):
    rows = await session.fetch(
        f"SELECT fluxshard.{function}() AS id FROM generate_series(1, $1)", count
    )
    return [row["id"] for row in rows]


@asynccontextmanager
async def open_transaction(session):
    """A transaction that is rolled back at the end."""
    transaction = session.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def test_an_id_says_when_and_where_it_was_made(sessions):
    session = await sessions("shard_1-a")
    before = await session.fetchval(f"SELECT {NOW_MS}")

    (made,) = await ids(session, 1)

    after = await session.fetchval(f"SELECT {NOW_MS}")
    assert before <= (made >> 22) + EPOCH_MS <= after
    assert made >> 12 & 1023 == 2
    assert 0 < made < 2**63


async def test_an_id_for_javascript_has_53_bits_with_the_same_parts(sessions):
    session = await sessions("shard_1-a")
    before = await session.fetchval(f"SELECT {NOW_MS} / 8")

    (made,) = await ids(session, 1, "next_js_id")

    after = await session.fetchval(f"SELECT {NOW_MS} / 8")
    assert before <= (made >> 15) + EPOCH_MS // 8 <= after
    assert made >> 7 & 255 == 2
    assert int(float(made)) == made < 2**53


@pytest.mark.parametrize("function", ["next_id", "next_js_id"])
async def test_many_sessions_of_two_shards_never_make_the_same_id_and_each_sees_them_grow(
    sessions, function
):
    askers = [await sessions(server) for server in SHARDS for _ in range(4)]

    made = await asyncio.gather(*(ids(session, 1000, function) for session in askers))

    assert all(series == sorted(series) for series in made)
    assert len({one for series in made for one in series}) == 8000


async def test_ids_grow_over_statements_of_different_sessions(sessions):
    one, other = await sessions(), await sessions()

    made = [(await ids(session, 1))[0] for _ in range(50) for session in (one, other)]

    assert made == sorted(set(made))


@pytest.mark.parametrize(
    ("function", "bits", "ticks"), [("next_id", 12, 60_000), ("next_js_id", 7, 7_500)]
)
async def test_ids_go_on_growing_when_the_clock_is_set_back(sessions, function, bits, ticks):
    session = await sessions()
    sequence = "fluxshard.ids" if function == "next_id" else "fluxshard.js_ids"
    await ids(session, 1, function)
    # What a clock that was a minute ahead has left:
    ahead = await session.fetchval(
        f"SELECT setval('{sequence}', pg_sequence_last_value('{sequence}') + ({ticks}::bigint << {bits}))"
    )

    made = await ids(session, 300, function)

    assert made == sorted(set(made))
    assert made[0] >> (bits + (10 if bits == 12 else 8)) >= ahead >> bits


async def test_a_transaction_that_stays_open_lets_others_make_ids(sessions):
    one, other = await sessions(), await sessions()

    async with open_transaction(one):
        await ids(one, 5)
        assert len(await ids(other, 5)) == 5


async def test_a_statement_that_is_cancelled_leaves_no_lock(sessions):
    one, other = await sessions(), await sessions()

    for timeout_ms in range(1, 12):
        await one.execute(f"SET statement_timeout = {timeout_ms}")
        with pytest.raises(asyncpg.QueryCanceledError):
            await ids(one, 1_000_000)
        assert len(await ids(other, 1)) == 1


async def test_a_transaction_that_made_ids_can_be_prepared(sessions):
    session = await sessions()
    await session.execute("CREATE TABLE made (id bigint PRIMARY KEY DEFAULT fluxshard.next_id())")

    await session.execute("BEGIN; INSERT INTO made DEFAULT VALUES; PREPARE TRANSACTION 'ids'")
    other = (await ids(await sessions(), 1))[0]
    await session.execute("COMMIT PREPARED 'ids'")

    assert await session.fetchval("SELECT id FROM made") < other


@pytest.mark.parametrize("role", ["authenticated", "service_role"])
async def test_clients_use_it_in_defaults_and_by_name_and_read_none_of_our_tables(sessions, role):
    session = await sessions()
    await session.execute(
        "CREATE TABLE made (id bigint PRIMARY KEY DEFAULT fluxshard.next_id(), note text);"
        f"GRANT INSERT, SELECT ON made TO {role}; SET ROLE {role}"
    )

    await session.execute("INSERT INTO made (note) VALUES ('a')")
    await session.execute("INSERT INTO made (id) VALUES (fluxshard.next_id())")

    assert await session.fetchval("SELECT count(DISTINCT id) FROM made") == 2
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.fetchval("SELECT setval('fluxshard.ids', 1)")


async def test_a_server_without_a_number_makes_no_ids(databases):
    connection = await asyncpg.connect(databases.url("shard_0-a"))
    try:
        await prepare_database(connection)

        with pytest.raises(asyncpg.UndefinedFunctionError, match=r"fluxshard\.shard_number"):
            await ids(connection, 1)
    finally:
        await connection.close()


async def test_a_number_that_does_not_fit_53_bits_is_refused_by_name(databases):
    connection = await asyncpg.connect(databases.url("shard_0-a"))
    try:
        await prepare_database(connection, number=256)

        assert (await ids(connection, 1))[0] >> 12 & 1023 == 256
        with pytest.raises(
            asyncpg.ProgramLimitExceededError, match="shard number 256 does not fit"
        ):
            await ids(connection, 1, "next_js_id")
    finally:
        await connection.close()


async def test_a_server_keeps_its_number(sessions):
    session = await sessions()

    with pytest.raises(NumberTaken, match="as shard number 1, not 2"):
        await prepare_database(session, number=2)

    assert await read_number(session) == 1


async def test_servers_may_race_for_a_number_and_one_wins(databases):
    connections = [await asyncpg.connect(databases.url("shard_0-a")) for _ in range(4)]
    try:
        results = await asyncio.gather(
            *(claim_number(one, number) for number, one in enumerate(connections, start=1)),
            return_exceptions=True,
        )

        assert sorted(map(repr, map(type, results))) == sorted(
            [repr(type(None)), *[repr(NumberTaken)] * 3]
        )
    finally:
        for connection in connections:
            await connection.close()
