"""Behind a real PgBouncer: no session survives, and nothing leaks from one caller to another."""

import asyncio
import json
from dataclasses import replace

import pytest
import pytest_asyncio

from router import (
    Access,
    Isolation,
    Part,
    PoolerUndeclared,
    SessionNeeded,
    ShardDown,
    StatementFailed,
    Together,
    TransactionOptions,
    UnitHeld,
    UnitMoved,
)
from router.fences import Entry
from shardmap import Pooling
from tests.integration.router.conftest import map_of
from tests.poolers import behind, pgbouncer

SHARD = "shard_0"
WHO = (
    "SELECT json_build_array(current_user, current_setting('request.jwt.claims', true),"
    " current_setting('fluxshard.tenant', true))::text"
)


@pytest.fixture
def servers(cluster, databases):
    """The map without a pooler."""
    return map_of(cluster.endpoints(databases.name), f"c-{databases.name}")


@pytest.fixture
def pooler(servers, clusters_directory, databases):
    """Start a PgBouncer before all shards: `with pooler("transaction") as front:`."""

    def start(mode, **options):
        every = [each for shard in servers.shards.values() for each in shard.endpoints]
        directory = clusters_directory / f"p{databases.name[-6:]}"
        return pgbouncer(directory, every, mode=mode, **options)

    return start


@pytest.fixture(params=[Pooling.TRANSACTION, Pooling.SESSION])
def mode(request):
    return request.param


@pytest_asyncio.fixture
async def pooled(pooler, servers, cluster, databases, open_world, mode):
    """Backends that reach every shard by way of PgBouncer, in the mode that the map says."""
    with pooler(mode, default_pool_size=3 if mode is Pooling.TRANSACTION else 40) as front:
        yield await open_world(cluster, databases.name, shard_map=behind(front, servers))


def claims(tenant):
    return json.dumps({"tenant_id": tenant})


def asker(world, tenant, role="authenticated", **more):
    return world.asker(role, claims=claims(tenant), tenant=tenant, **more)


def envelope(world, sql, *args, **options):
    """A read as the router sends it: one row of JSON, its number of rows, and the position."""
    text = f"SELECT coalesce(json_agg(q), '[]')::text, count(*), {world.POSITION} FROM ({sql}) AS q"
    more = {"inline_position": True, "row_count_column": 1, **options}
    return world.reading(text, *args, **more)


async def test_everybody_has_the_own_role_and_claims_whoever_had_the_session_before(pooled):
    async def one(number):
        tenant, role = str(number), ("authenticated", "anon", "service_role")[number % 3]
        kind = (world_reading, world_envelope, world_writing)[number % 7 % 3]
        found = await kind(asker(pooled, tenant, role))
        return found == [role, claims(tenant), tenant]

    async def world_reading(who):
        reply = await pooled.run(pooled.reading(WHO, claims=number_claims(who)), who)
        return json.loads(reply.rows[0][0])

    async def world_envelope(who):
        query = envelope(pooled, f"SELECT ({WHO})::json AS who", claims=number_claims(who))
        reply = await pooled.run(query, who)
        return json.loads(reply.rows[0][0])[0]["who"]

    async def world_writing(who):
        reply = await pooled.run(pooled.writing(WHO), who)
        return json.loads(reply.rows[0][0])

    def number_claims(who):
        return int(who.tenant) % 2 == 0

    assert all(await asyncio.gather(*(one(number) for number in range(120))))


async def test_a_statement_has_the_settings_of_a_session_of_ours(pooled):
    names = (
        "search_path row_security transaction_read_only transaction_isolation extra_float_digits"
        " synchronous_commit timezone jit standard_conforming_strings"
    ).split()
    sql = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)

    reply = await pooled.read(sql)

    assert dict(zip(names, reply.rows[0], strict=True)) == {
        "search_path": "public, pg_temp", "row_security": "on", "transaction_read_only": "on",
        "transaction_isolation": "read committed", "extra_float_digits": "1",
        "synchronous_commit": "on", "timezone": "UTC", "jit": "off",
        "standard_conforming_strings": "on",
    }  # fmt: skip


async def test_each_statement_has_the_time_of_its_own_request(pooled):
    sql = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
    for seconds in (5, 20, 5):
        reply = await pooled.read(sql, seconds=seconds)
        assert (seconds - 2) * 1000 < reply.rows[0][0] <= seconds * 1000 + 2


async def test_what_a_users_code_does_to_the_session_is_gone(pooled):
    who = asker(pooled, "7")
    spoil = pooled.writing(
        "SELECT set_config('search_path', 'pg_catalog', false),"
        " set_config('request.jwt.claims', 'left', false), pg_advisory_lock_shared(42)"
    )
    look = pooled.reading(
        "SELECT current_setting('search_path'), current_setting('request.jwt.claims', true),"
        " (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND objid = 42)"
    )

    for _ in range(8):
        await pooled.run(spoil, who)
    found = await asyncio.gather(*(pooled.run(look, asker(pooled, "8")) for _ in range(24)))

    assert {one.rows[0] for one in found} == {("public, pg_temp", claims("8"), 0)}


async def test_reads_and_writes_of_all_forms_and_types_pass(pooled):
    await pooled.write(
        "INSERT INTO notes (id, owner) SELECT x, 'o' FROM unnest($1::int[]) AS x", list(range(50))
    )
    rows = await pooled.read("SELECT id FROM notes WHERE id < $1 ORDER BY id", 3)
    packet = await pooled.run(envelope(pooled, "SELECT id FROM notes WHERE owner = $1", "o"))
    with pytest.raises(StatementFailed) as caught:
        await pooled.run(envelope(pooled, "SELECT 1 / count(*) AS one FROM notes WHERE id < 0"))
    other = await pooled.read("SELECT $1::timestamptz::text, $2::numeric::text", None, None)

    assert (rows.rows, packet.affected, other.rows) == ([(0,), (1,), (2,)], 50, [(None, None)])
    assert caught.value.sqlstate == "22012"
    assert (await pooled.read("SELECT count(*)::int FROM notes")).rows == [(50,)]


async def test_a_session_reads_its_own_writes(pooled):
    async def one(number):
        session = f"s{number}"
        for step in range(5):
            identity = number * 100 + step
            await pooled.write("INSERT INTO notes (id) VALUES ($1)", identity, session=session)
            seen = await pooled.read(
                "SELECT count(*)::int FROM notes WHERE id = $1", identity, session=session
            )
            assert seen.rows == [(1,)]

    await asyncio.gather(*(one(number) for number in range(8)))


async def test_descriptions_transactions_and_rows_in_batches_pass(pooled):
    who = asker(pooled, "7", "service_role")
    described = await pooled.backends.describe(
        SHARD, "SELECT id, body FROM notes WHERE id = $1", Access.READ, who
    )
    with pytest.raises(StatementFailed):
        await pooled.backends.describe(SHARD, "SELECT nothing FROM notes", Access.READ, who)
    options = TransactionOptions(Isolation.REPEATABLE_READ)
    transaction = await pooled.backends.begin(SHARD, who, options)
    series = "INSERT INTO notes (id) SELECT * FROM generate_series($1::int, $2::int)"
    for number in (0, 1000, 2000):
        await transaction.run(pooled.writing(series, number, number + 999), who.deadline)
    await transaction.commit(who.deadline)
    transaction.leave()
    rows = await pooled.backends.open(
        SHARD, pooled.reading("SELECT id FROM notes ORDER BY id"), who, who.deadline
    )
    found = []
    while batch := await rows.batch():
        found += [row[0] for row in batch]

    assert [column.name for column in described.columns] == ["id", "body"]
    assert found == list(range(3000))


def both(world):
    insert = world.writing("INSERT INTO notes (id) VALUES (1)")
    return Together((Part("shard_0", insert), Part("shard_1", insert)))


async def test_writes_on_several_shards_and_snapshots_go_by_the_direct_address(pooled):
    who = asker(pooled, "7", "service_role")

    replies = await pooled.backends.run_together(both(pooled), who)
    async with pooled.backends.snapshot(("shard_0", "shard_1"), who) as snapshot:
        count = pooled.reading("SELECT count(*)::int FROM notes")
        seen = [await snapshot.run(shard, count, who) for shard in ("shard_0", "shard_1")]

    assert [reply.affected for reply in replies] == [1, 1]
    assert [reply.rows for reply in seen] == [[(1,)], [(1,)]]


async def test_without_a_direct_address_what_needs_a_session_is_refused_by_name(
    pooler, servers, cluster, databases, open_world
):
    with pooler("transaction") as front:
        shard_map = behind(front, servers, direct=False)
        world = await open_world(cluster, databases.name, shard_map=shard_map)
        who = asker(world, "7", "service_role")

        with pytest.raises(SessionNeeded) as caught:
            await world.backends.run_together(both(world), who)
        with pytest.raises(SessionNeeded):
            async with world.backends.snapshot(("shard_0", "shard_1"), who):
                pass
        await world.write("INSERT INTO notes (id) VALUES (1)")

        assert "direct" in caught.value.hint
        assert (await world.read("SELECT count(*)::int FROM notes")).rows == [(1,)]


IGNORED = (
    "search_path,statement_timeout,idle_in_transaction_session_timeout,row_security,jit,"
    "default_transaction_isolation,default_transaction_read_only,extra_float_digits,"
    "synchronous_commit"
)


@pytest.mark.parametrize("ignored", ["extra_float_digits", IGNORED])
async def test_a_pooler_that_nobody_declared_gets_no_statement(
    pooler, servers, cluster, databases, open_world, until, ignored
):
    with pooler("transaction", ignore_startup_parameters=ignored) as front:
        hidden = behind(front, servers, Pooling.NONE, direct=False)
        world = await open_world(cluster, databases.name, shard_map=hidden, all_up=False)
        await until(lambda: {one.state for one in world.status().endpoints} == {"impostor"})

        with pytest.raises(ShardDown) as caught:
            await world.read("SELECT 1")

        assert "pooler" in caught.value.message


async def test_a_pooler_in_another_mode_than_declared_is_found_out(
    pooler, servers, cluster, databases, open_world
):
    with pooler("transaction", default_pool_size=4) as front:
        shard_map = behind(front, servers, Pooling.SESSION)
        world = await open_world(cluster, databases.name, shard_map=shard_map)

        async def one(number):
            who = asker(world, str(number))
            try:
                reply = await world.run(envelope(world, f"SELECT ({WHO})::json AS who"), who)
            except (PoolerUndeclared, ShardDown) as error:
                return error
            (found,) = json.loads(reply.rows[0][0])
            assert found["who"] == ["authenticated", claims(who.tenant), who.tenant]
            return None

        found = await asyncio.gather(*(one(number) for number in range(60)))

        assert any(isinstance(error, PoolerUndeclared) for error in found)


async def test_a_map_that_announces_the_pooler_is_taken_up_while_running(
    pooler, servers, cluster, databases, open_world, until
):
    world = await open_world(cluster, databases.name, shard_map=servers)
    with pooler("transaction") as front:
        await world.backends.adopt(replace(behind(front, servers), epoch=2))
        await until(lambda: world.status().writable)

        await world.write("INSERT INTO notes (id) VALUES (1)")
        reply = await world.read("SELECT current_setting('search_path'), count(*)::int FROM notes")

    assert reply.rows == [("public, pg_temp", 1)]


async def test_writes_enter_their_units_behind_a_pooler_and_leave_no_lock_there(pooled):
    async with pooled.superuser(pooled.PRIMARY) as connection:
        await connection.execute("CREATE TABLE entered (id int); GRANT ALL ON entered TO PUBLIC")
        fence = "SELECT fluxshard.set_fence('pin:7', $1, $2, 'shard_1', 1, NULL)"
        insert = pooled.writing("INSERT INTO entered VALUES (1)", entries=(Entry("pin:7", 1),))
        await pooled.run(insert, asker(pooled, "7"))

        await connection.execute("SET lock_timeout = '10s'")
        await connection.execute(fence, 1, "held")
        with pytest.raises(UnitHeld):
            await pooled.run(insert, asker(pooled, "7"))
        await connection.execute(fence, 2, "gone")
        for _ in range(5):
            with pytest.raises(UnitMoved) as caught:
                await pooled.run(insert, asker(pooled, "7"))

        assert (caught.value.fence.unit, caught.value.fence.moved_to) == ("pin:7", "shard_1")
        assert await connection.fetchval("SELECT count(*) FROM entered") == 1
        found = await pooled.run(pooled.writing(WHO), asker(pooled, "8"))
        assert json.loads(found.rows[0][0])[0] == "authenticated"
