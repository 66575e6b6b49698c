"""Preparing databases: again, at once, as an ordinary login role, and by hand."""

import asyncio
from dataclasses import replace
from functools import partial

import asyncpg
import pytest

from router import (
    BackendSettings,
    ConnectionBudgetExceeded,
    DatabaseNotPrepared,
    PreparedTransactionsOff,
    ShardDown,
    StatementFailed,
    by_hand,
    connection_budget,
    prepare_cluster,
    prepare_database,
)
from shardmap import KeyType, ShardMap, resolve

LOGIN = partial(resolve, environ={})
ROLES = """
    SELECT rolname::text, rolcanlogin, rolinherit, rolbypassrls FROM pg_roles
    WHERE rolname IN ('anon', 'authenticated', 'service_role') ORDER BY rolname
"""


async def test_the_roles_are_what_they_should_be(world):
    async with world.superuser(world.PRIMARY) as connection:
        rows = [tuple(row) for row in await connection.fetch(ROLES)]

    assert rows == [
        ("anon", False, False, False),
        ("authenticated", False, False, False),
        ("service_role", False, False, True),
    ]


async def test_preparing_again_changes_nothing(world):
    async with world.superuser(world.PRIMARY) as connection:
        state = "SELECT md5(string_agg(p::text, ',' ORDER BY oid)) FROM pg_proc AS p"
        before = await connection.fetchval(state)

        await prepare_database(connection)

        assert await connection.fetchval(state) == before


async def test_databases_of_one_server_can_be_prepared_at_once(disposable_cluster):
    cluster = await disposable_cluster(replicas=0)
    names = [f"db{number}" for number in range(6)]
    admin = await asyncpg.connect(cluster.url("shard_0-a", "postgres"))
    for name in names:
        await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    connections = [await asyncpg.connect(cluster.url("shard_0-a", name)) for name in names * 2]

    await asyncio.gather(*(prepare_database(connection) for connection in connections))

    for connection in connections:
        assert len(await connection.fetch(ROLES)) == 3
        assert await connection.fetchval("SELECT auth.role()") == "anon"
        await connection.close()


async def test_tables_are_open_to_the_service_role_and_closed_to_others(world):
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("CREATE TABLE later (id serial PRIMARY KEY)")

    await world.write("INSERT INTO later DEFAULT VALUES", role="service_role")
    for role in ("anon", "authenticated"):
        with pytest.raises(StatementFailed) as caught:
            await world.read("SELECT * FROM later", role=role)
        assert caught.value.sqlstate == "42501"
        with pytest.raises(StatementFailed):
            await world.read("SELECT * FROM fluxshard.identity", role=role)


async def test_tables_made_before_are_granted_to_the_service_role(world):
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute('''
            CREATE TABLE "Older ""one""" (id int PRIMARY KEY);
            REVOKE ALL ON "Older ""one""" FROM service_role;
        ''')

        await prepare_database(connection)

    reply = await world.write('INSERT INTO "Older ""one""" VALUES (1)', role="service_role")
    assert reply.affected == 1


async def test_a_login_role_that_may_make_roles_prepares_by_itself(disposable_cluster):
    cluster = await disposable_cluster(replicas=0)
    admin = await asyncpg.connect(cluster.url("shard_0-a"))
    await admin.execute("CREATE ROLE owner LOGIN CREATEROLE BYPASSRLS PASSWORD 'x'")
    await admin.execute("CREATE DATABASE owned OWNER owner")
    await admin.close()
    connection = await asyncpg.connect(
        cluster.url("shard_0-a", "owned"), user="owner", password="x"
    )

    await prepare_database(connection)
    await prepare_database(connection)

    for role in ("anon", "authenticated", "service_role"):
        await connection.execute(f"SET ROLE {role}")
        assert await connection.fetchval("SELECT auth.role()") == "anon"
    await connection.close()


async def test_a_login_role_without_rights_is_told_what_to_run_by_hand(world, unprivileged):
    login = await unprivileged(world)
    async with login.session() as connection:
        with pytest.raises(DatabaseNotPrepared) as caught:
            await prepare_database(connection)

        async with world.superuser(world.PRIMARY) as superuser:
            await superuser.execute(caught.value.by_hand)
        await prepare_database(connection)  # now there is nothing left to do


async def test_a_login_role_without_rights_serves_once_prepared(world, unprivileged, until):
    login = await unprivileged(world)
    await login.prepared_by_hand()

    await world.backends.adopt(login.shard_map)
    await until(lambda: len({e.state for e in world.status().endpoints} & {"primary"}) == 1)
    await until(lambda: all(e.state != "down" for e in world.status().endpoints))

    await world.write("INSERT INTO notes (id) VALUES (1)")
    reply = await world.read("SELECT session_user::text FROM notes")
    assert reply.rows == [(login.role,)]
    assert reply.served.replica
    assert not world.status().quorum_lost  # it cannot see the standbys: that is no alarm


async def test_the_whole_cluster_is_prepared_on_the_primaries_of_now(disposable_cluster):
    cluster = await disposable_cluster(replicas=1)
    endpoints = cluster.endpoints()
    await cluster.promote("shard_0")  # so the declared roles are outdated
    shard_map = ShardMap(
        cluster_id="c",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: shard for shard in endpoints.shards},
        catalog=endpoints.catalog.primary,
        catalog_replicas=endpoints.catalog.replicas,
        slots=(endpoints.shards[0].id,) * 4096,
    )

    await prepare_cluster(shard_map, LOGIN, BackendSettings())
    heir = cluster.endpoints().shards[0].primary.name
    await cluster.kill(heir)
    await prepare_cluster(shard_map, LOGIN, BackendSettings())  # a prepared replica will do
    await cluster.kill(next(s.name for s in cluster.servers() if s.shard == "shard_0" and s.pid))
    with pytest.raises(ShardDown):
        await prepare_cluster(shard_map, LOGIN, BackendSettings())


async def test_a_budget_beyond_the_servers_limit_is_refused_with_its_sum(world):
    fits = await connection_budget(
        world.shard_map, BackendSettings(max_connections=20), LOGIN, workers=4
    )
    with pytest.raises(ConnectionBudgetExceeded) as caught:
        await connection_budget(
            world.shard_map, BackendSettings(max_connections=50), LOGIN, workers=4, others=3
        )

    assert {one.wanted for one in fits} == {4 * 21}
    assert {one.allowed for one in fits} == {197}
    assert "4 worker(s) x (50 + 1 probe) x 1 endpoint(s) (shard_0-a) + 3 other(s) = 207" in str(
        caught.value
    )


def test_the_sql_to_run_by_hand_names_the_login_role():
    assert "SET fluxshard.login = 'o''neil'" in by_hand(["public"], "o'neil")


async def test_several_shards_need_prepared_transactions(disposable_cluster):
    cluster = await disposable_cluster(shards=2, replicas=0)
    endpoints = cluster.endpoints()
    several = ShardMap(
        cluster_id="c-off",
        epoch=1,
        key_type=KeyType.INTEGER,
        shards={shard.id: shard for shard in endpoints.shards},
        catalog=endpoints.catalog.primary,
        catalog_replicas=(),
        slots=(endpoints.shards[0].id,) * 4096,
    )
    one = replace(several, shards={endpoints.shards[0].id: endpoints.shards[0]})
    for shard in endpoints.shards:
        session = await asyncpg.connect(cluster.url(shard.primary.name))
        await session.execute("ALTER SYSTEM SET max_prepared_transactions = 0")
        await session.close()
    await cluster.down()
    await cluster.up()

    await prepare_cluster(one, LOGIN, BackendSettings())
    with pytest.raises(PreparedTransactionsOff, match=r"off at shard_0-a") as caught:
        await prepare_cluster(several, LOGIN, BackendSettings())

    assert "max_prepared_transactions" in caught.value.hint
