"""Columns that are unique on all shards together, whatever statement writes them."""

import asyncio
import json
from dataclasses import dataclass, replace

import asyncpg
import pytest
import pytest_asyncio

from router import (
    Form,
    JsonRows,
    Router,
    RouterError,
    SeveralShardsInTransaction,
    Statement,
    StatementFailed,
    UniqueNotGuarded,
)
from router.plans.one_shard import fits
from shardmap import MapRefused, Pin, Sharded, ShardId, TableName, TenantId, guard, unguard
from shardmap.global_unique import guard_names

A, B = ShardId("shard_0"), ShardId("shard_1")
SERVERS = ("shard_0-a", "shard_1-a")
MEMBERS = TableName("public.members")
SCHEMA = """
CREATE TABLE members (
    tenant_id int NOT NULL, id int NOT NULL, email text, nick text, code int,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE teams (tenant_id int NOT NULL, id int NOT NULL, PRIMARY KEY (tenant_id, id));
ALTER TABLE members ADD team int, ADD FOREIGN KEY (tenant_id, team) REFERENCES teams ON DELETE CASCADE;
GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role, authenticated;
"""
PLACED = Sharded("tenant_id", (), (("email",), ("nick", "code")))


@dataclass
class Two:
    world: object
    router: Router

    async def run(self, sql, *args, form=Form.ROWS, tenant=None, role="service_role", exactly=None):
        statement = Statement(sql, args, form, exactly=exactly)
        who = self.world.asker(role, tenant=tenant)
        return await self.router.answer(statement, who)

    async def insert(self, tenant, id_, email, **who):
        return await self.run(
            "INSERT INTO members (tenant_id, id, email) VALUES ($1, $2, $3)",
            tenant,
            id_,
            email,
            **who,
        )

    async def rows(self, sql):
        found = []
        for server in SERVERS:
            async with self.world.superuser(server) as connection:
                found += [tuple(row) for row in await connection.fetch(sql)]
        return sorted(found, key=repr)

    async def kept(self):
        """How many values are kept, by the names of their columns."""
        names = [name for (name,) in await self.rows("SELECT name FROM fluxshard.unique_value")]
        return {name.partition("(")[2].removesuffix(")"): names.count(name) for name in names}

    async def consistent(self):
        """Nothing is prepared, and as many values are kept as there are in the rows."""
        values = await self.rows("SELECT email FROM members WHERE email IS NOT NULL")
        pairs = await self.rows(
            "SELECT nick, code FROM members WHERE nick IS NOT NULL AND code IS NOT NULL"
        )
        prepared = await self.rows(
            "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
        )
        expected = {"email": len(values), "nick, code": len(pairs)}
        assert len(set(values)) == len(values)
        return prepared == [] and await self.kept() == {
            name: number for name, number in expected.items() if number
        }


@pytest_asyncio.fixture
async def two(make_world, databases):
    world = await make_world()
    await databases.execute(SCHEMA, *map(str, (A, B)))
    shard_map = replace(
        world.shard_map,
        epoch=world.shard_map.epoch + 1,
        slots=(A, B) * 2048,
        pins={TenantId("1"): Pin(A), TenantId("2"): Pin(B), TenantId("3"): Pin(A)},
        tables={MEMBERS: PLACED, TableName("public.teams"): Sharded("tenant_id")},
        default_placement=None,
    )
    for server in SERVERS:
        async with world.superuser(server) as connection:
            await guard(connection, shard_map.tables)
    await world.backends.adopt(shard_map)
    await world.backends.refresh_schema(now=True)
    return Two(world, Router(world.backends, lambda: shard_map, world.backends.schema))


def violated(caught, columns="email"):
    error = caught.value
    assert error.sqlstate == "23505"
    assert error.table == "members"
    assert error.constraint == f"members_{columns.replace(', ', '_')}_global_unique"
    assert error.message == f'duplicate key value violates unique constraint "{error.constraint}"'
    assert error.detail == f"Key ({columns}) already exists."
    return True


@pytest.mark.parametrize("other", [1, 3, 2])
async def test_a_value_is_taken_on_its_own_and_on_every_other_shard(two, other):
    await two.insert(1, 1, "a@x")

    with pytest.raises(StatementFailed) as caught:
        await two.insert(other, 9, "a@x")

    assert violated(caught)
    assert await two.rows("SELECT tenant_id, email FROM members") == [(1, "a@x")]
    assert await two.consistent()


async def test_many_values_go_to_the_shards_of_their_slots(two):
    rows = [{"tenant_id": 1 + i % 3, "id": i, "email": f"m{i}@x"} for i in range(40)]

    await two.run(
        "INSERT INTO members (tenant_id, id, email) SELECT x.tenant_id, x.id, x.email FROM"
        " json_to_recordset($1::text::json) AS x(tenant_id int, id int, email text)",
        JsonRows(json.dumps(rows), rows),
    )

    shards = await two.rows(
        "SELECT current_setting('cluster_name'), count(*) FROM fluxshard.unique_value"
    )
    assert all(number > 5 for _, number in shards)
    assert await two.consistent()


async def test_the_same_new_value_twice_in_one_statement_is_a_violation(two):
    with pytest.raises(StatementFailed) as caught:
        await two.run(
            "INSERT INTO members (tenant_id, id, email) VALUES (1, 1, 'a@x'), (2, 1, 'a@x')"
        )

    assert violated(caught)
    assert await two.rows("SELECT email FROM members") == []
    assert await two.consistent()


async def test_columns_are_unique_together_and_a_null_in_them_equals_nothing(two):
    insert = "INSERT INTO members (tenant_id, id, nick, code) VALUES ($1, $2, $3, $4)"
    await two.run(insert, 1, 1, "a", 1)
    await two.run(insert, 2, 1, "a", 2)
    await two.run(insert, 1, 2, "b", None)
    await two.run(insert, 2, 2, "b", None)

    with pytest.raises(StatementFailed) as caught:
        await two.run(insert, 2, 3, "a", 1)

    assert violated(caught, "nick, code")
    assert await two.kept() == {"nick, code": 2}
    assert await two.consistent()


async def test_delete_and_update_give_values_back(two):
    await two.insert(1, 1, "a@x")
    await two.insert(1, 2, "b@x")

    await two.run("DELETE FROM members WHERE tenant_id = 1 AND id = 1")
    await two.run("UPDATE members SET email = upper(email) || '!' WHERE tenant_id = 1 AND id = 2")
    await two.insert(2, 1, "a@x")
    await two.insert(2, 2, "b@x")

    assert await two.rows("SELECT email FROM members") == [("B@X!",), ("a@x",), ("b@x",)]
    assert await two.consistent()


async def test_an_update_to_a_value_of_another_shard_is_a_violation(two):
    await two.insert(1, 1, "a@x")
    await two.insert(2, 1, "b@x")

    with pytest.raises(StatementFailed) as caught:
        await two.run("UPDATE members SET email = 'a@x' WHERE tenant_id = 2")

    assert violated(caught)
    assert await two.consistent()


async def test_an_update_of_other_columns_keeps_the_values(two):
    await two.insert(1, 1, "a@x")

    await two.run("UPDATE members SET nick = 'n', email = email WHERE tenant_id = 1")

    assert await two.rows("SELECT nick, email FROM members") == [("n", "a@x")]
    assert await two.consistent()


async def test_an_upsert_takes_what_it_inserts_and_gives_back_what_it_replaces(two):
    upsert = (
        "INSERT INTO members (tenant_id, id, email) VALUES (1, 1, $1)"
        " ON CONFLICT (tenant_id, id) DO UPDATE SET email = excluded.email"
    )
    await two.run(upsert, "a@x")
    await two.run(upsert, "b@x")
    await two.run(upsert.replace("UPDATE SET email = excluded.email", "NOTHING"), "c@x")

    await two.insert(2, 1, "a@x")
    assert await two.rows("SELECT email FROM members") == [("a@x",), ("b@x",)]
    assert await two.consistent()


async def test_values_that_change_places_between_shards_are_no_violation(two):
    await two.insert(1, 1, "a@x")
    await two.insert(2, 1, "b@x")

    await two.run(
        "UPDATE members SET email = CASE email WHEN 'a@x' THEN 'b@x' ELSE 'a@x' END WHERE id = 1"
    )

    assert await two.rows("SELECT tenant_id, email FROM members") == [(1, "b@x"), (2, "a@x")]
    assert await two.consistent()


async def test_a_tenant_writes_with_returning_and_reads_nothing_of_what_is_kept(two):
    who = {"tenant": "1", "role": "authenticated", "form": Form.JSON}
    result = await two.run(
        "INSERT INTO members (id, email) VALUES (1, 'a@x') RETURNING email", **who
    )

    assert json.loads(result.body) == [{"email": "a@x"}]
    with pytest.raises(RouterError):
        await two.run("SELECT * FROM fluxshard.unique_value", **who)
    async with two.world.superuser(SERVERS[0]) as connection:
        await connection.execute("SET ROLE authenticated")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM fluxshard.unique_value")


async def test_rows_of_another_number_than_asked_for_take_nothing(two):
    with pytest.raises(RouterError):
        await two.run(
            "INSERT INTO members (tenant_id, id, email) VALUES (1, 1, 'a@x'), (1, 2, 'b@x')",
            exactly=1,
        )

    assert await two.kept() == {}
    assert await two.consistent()


async def test_writes_that_the_router_does_not_see_are_refused(two):
    await two.run("INSERT INTO teams VALUES (1, 1)".replace("teams", "teams (tenant_id, id)"))
    await two.run("INSERT INTO members (tenant_id, id, email, team) VALUES (1, 1, 'a@x', 1)")

    with pytest.raises(StatementFailed, match=r"public\.members\(email\) is globally unique"):
        await two.run("DELETE FROM teams WHERE tenant_id = 1")
    async with two.world.superuser(SERVERS[0]) as connection:
        for sql in ("INSERT INTO members VALUES (1, 5)", "TRUNCATE members", "DELETE FROM members"):
            with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="globally unique"):
                await connection.execute(sql)
        await connection.execute(
            "SET fluxshard.keeping = 'off'; UPDATE members SET nick = 'repaired'"
        )

    assert await two.consistent()


async def test_what_runs_at_commit_cannot_change_values_behind_our_back(two):
    for server in SERVERS:
        async with two.world.superuser(server) as connection:
            await connection.execute(
                "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " UPDATE members SET email = 'late@x' WHERE id = new.id; RETURN NULL; END $$;"
                "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON members"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()"
            )

    with pytest.raises(StatementFailed, match="globally unique"):
        await two.insert(1, 1, "a@x")

    assert await two.consistent()


async def test_a_write_of_a_table_that_lacks_a_guard_on_one_shard_is_refused(two):
    name = guard_names(("email",))["update"]
    async with two.world.superuser(SERVERS[1]) as connection:
        await connection.execute(f"DROP TRIGGER {name} ON members")

    with pytest.raises(UniqueNotGuarded, match=r"public\.members\(email\)"):
        await two.run("UPDATE members SET email = 'a@x' WHERE tenant_id = 2")
    await two.insert(2, 1, "a@x")

    assert await two.consistent()


async def test_such_a_write_is_no_part_of_a_transaction(two):
    statement = Statement("DELETE FROM members WHERE tenant_id = 1", (), Form.ROWS)
    plan = two.router.plan(statement, two.world.asker("service_role"))

    with pytest.raises(SeveralShardsInTransaction, match="globally unique"):
        fits(plan, None)


async def test_many_clients_race_for_one_value_and_one_row_is_there(two):
    async def register(number):
        try:
            await two.insert(1 + number % 3, number, "same@x")
        except StatementFailed as error:
            return error.sqlstate
        return "won"

    for turn in range(4):
        ends = await asyncio.gather(*(register(turn * 100 + each) for each in range(24)))

        assert sorted(ends) == ["23505"] * 23 + ["won"]
        assert len(await two.rows("SELECT email FROM members")) == 1
        assert await two.consistent()
        await two.run("DELETE FROM members WHERE email = 'same@x'")
        assert await two.kept() == {}


async def test_random_writes_of_many_clients_leave_exactly_the_values_of_the_rows(two):
    async def client(number):
        for turn in range(12):
            tenant, id_, email = 1 + (number + turn) % 3, (number * 7 + turn) % 9, f"m{turn % 5}@x"
            try:
                match (number + turn) % 4:
                    case 0 | 1:
                        await two.insert(tenant, id_, email)
                    case 2:
                        await two.run(
                            "UPDATE members SET email = $3 WHERE tenant_id = $1 AND id = $2",
                            tenant, id_, email,
                        )  # fmt: skip
                    case _:
                        await two.run(
                            "DELETE FROM members WHERE tenant_id = $1 AND id = $2", tenant, id_
                        )
            except StatementFailed as error:
                refusals.add(error.sqlstate)

    refusals = set()
    await asyncio.gather(*map(client, range(10)))

    assert refusals <= {"23505", "40P01"}
    assert await two.consistent()


async def test_a_table_with_rows_does_not_become_globally_unique(two):
    teams = {TableName("public.teams"): Sharded("tenant_id", (), (("id",),))}
    async with two.world.superuser(SERVERS[0]) as connection:
        await connection.execute("INSERT INTO teams VALUES (1, 1)")

        with pytest.raises(
            MapRefused, match=r"tables\.public\.teams\.global_unique: id cannot become"
        ):
            await guard(connection, teams)
        await connection.execute("INSERT INTO teams VALUES (1, 2)")  # it is not guarded


async def test_columns_that_are_no_longer_unique_are_free_and_can_be_so_again(two):
    await two.insert(1, 1, "a@x")
    before = {MEMBERS: PLACED}
    after = {MEMBERS: replace(PLACED, global_unique=(("nick", "code"),))}
    for server in SERVERS:
        async with two.world.superuser(server) as connection:
            await unguard(connection, before, after)

    assert await two.kept() == {}
    async with two.world.superuser(SERVERS[1]) as connection:
        await guard(connection, before)
