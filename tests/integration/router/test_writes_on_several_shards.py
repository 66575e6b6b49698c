"""Statements of the service role that write on two shards, through the whole router."""

import asyncio
import json
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from router import (
    Form,
    JsonRows,
    Router,
    RowCountUnexpected,
    SchemasDiffer,
    SeveralShardsWritten,
    Statement,
    StatementFailed,
)
from shardmap import Pin, Reference, Sharded, ShardId, TableName, TenantId

A, B = ShardId("shard_0"), ShardId("shard_1")
SERVERS = ("shard_0-a", "shard_1-a")
SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE TABLE orders (
    tenant_id int NOT NULL, id int NOT NULL, total numeric, note text, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE codes (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text UNIQUE, at timestamptz DEFAULT now(),
    luck float8 DEFAULT random(), data jsonb, doc json, tags text[], feeling mood, bytes bytea,
    price numeric(12, 2), padded char(4), twice text GENERATED ALWAYS AS (code || code) STORED
);
CREATE TABLE pairs (code text, part int, PRIMARY KEY (code, part));
CREATE TABLE keyless (code text);
GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role;
"""


@dataclass
class Two:
    world: object
    router: Router

    async def run(self, sql, *args, form=Form.ROWS, exactly=None, tenant=None, **more):
        statement = Statement(sql, args, form, exactly=exactly, **more)
        who = self.world.asker("service_role", tenant=tenant)
        return await self.router.answer(statement, who)

    async def shards(self, sql):
        found = []
        for server in SERVERS:
            async with self.world.superuser(server) as connection:
                found.append([tuple(row) for row in await connection.fetch(sql)])
        return found


@pytest_asyncio.fixture
async def two(make_world, databases):
    world = await make_world()
    await databases.execute(SCHEMA, *map(str, (A, B)))
    shard_map = replace(
        world.shard_map,
        slots=(A, B) * 2048,
        pins={TenantId("1"): Pin(A), TenantId("2"): Pin(B), TenantId("3"): Pin(A)},
        tables={
            TableName("public.orders"): Sharded("tenant_id"),
            TableName("public.codes"): Reference(),
            TableName("public.pairs"): Reference(),
            TableName("public.keyless"): Reference(),
        },
        default_placement=None,
    )
    await world.backends.refresh_schema(now=True)
    return Two(world, Router(world.backends, lambda: shard_map, world.backends.schema))


def records(*rows):
    text = "[" + ",".join(rows) + "]"
    return JsonRows(text, json.loads(text))


RECORDS = (
    "INSERT INTO orders (tenant_id, id, total) SELECT x.tenant_id, x.id, x.total FROM"
    " json_to_recordset($1::text::json) AS x(tenant_id int, id int, total numeric) RETURNING *"
)


async def test_rows_of_values_go_to_their_shards_and_come_back_in_their_order(two):
    result = await two.run(
        "INSERT INTO orders (tenant_id, id, note) VALUES ($1, 1, $3), ($2, 2, $3), ($1, 3, 'z')"
        " RETURNING id, note",
        2,
        1,
        "n",
    )

    assert (result.row_count, result.columns) == (3, ("id", "note"))
    assert result.rows == [(1, "n"), (2, "n"), (3, "z")]
    assert [served.shard for served in result.served] == [A, B]
    assert await two.shards("SELECT tenant_id, id FROM orders ORDER BY id") == [
        [(1, 2)],
        [(2, 1), (2, 3)],
    ]


async def test_records_keep_their_digits_and_come_back_as_one_json_array(two):
    rows = ('{"tenant_id":2,"id":1,"total":1.00}', '{"tenant_id":1,"id":2,"total":12345678901234567890.10}')  # fmt: skip

    result = await two.run(RECORDS, records(*rows), form=Form.JSON)

    assert result.row_count == 2
    assert result.body == (
        '[{"tenant_id":2,"id":1,"total":1.00,"note":null}, \n'
        ' {"tenant_id":1,"id":2,"total":12345678901234567890.10,"note":null}]'
    )


async def test_a_write_without_returning_adds_its_numbers(two):
    await two.run("INSERT INTO orders (tenant_id, id) VALUES (1, 1), (2, 1), (3, 1)")

    changed = await two.run("UPDATE orders SET note = 'x' WHERE id = 1")
    removed = await two.run("DELETE FROM orders WHERE tenant_id IN (1, 2)")

    assert (changed.row_count, removed.row_count) == (3, 2)
    assert await two.shards("SELECT tenant_id, note FROM orders") == [[(3, "x")], []]


async def test_another_number_of_rows_than_asked_for_undoes_all(two):
    await two.run("INSERT INTO orders (tenant_id, id) VALUES (1, 1), (2, 1)")

    with pytest.raises(RowCountUnexpected):
        await two.run("DELETE FROM orders WHERE id = 1", exactly=1)

    assert await two.shards("SELECT count(*) FROM orders") == [[(1,)], [(1,)]]


async def test_one_bad_row_undoes_the_rows_of_the_other_shard(two):
    await two.run("INSERT INTO orders (tenant_id, id) VALUES (2, 1)")

    with pytest.raises(StatementFailed, match="duplicate key"):
        await two.run(RECORDS, records('{"tenant_id":1,"id":5}', '{"tenant_id":2,"id":1}'))

    assert await two.shards("SELECT tenant_id FROM orders") == [[], [(2,)]]


async def test_rows_that_a_conflict_leaves_out_are_not_guessed_into_an_order(two):
    await two.run("INSERT INTO orders (tenant_id, id) VALUES (1, 1)")

    result = await two.run(
        "INSERT INTO orders (tenant_id, id) VALUES (2, 7), (1, 1), (1, 8)"
        " ON CONFLICT DO NOTHING RETURNING id"
    )

    assert result.rows == [(8,), (7,)]


COPIES = (
    "SELECT id, code, at::text, luck, data::text, doc::text, tags, feeling::text, bytes,"
    " price::text, padded, twice FROM codes ORDER BY id"
)


async def test_what_a_reference_row_is_made_of_is_computed_once(two):
    result = await two.run(
        "INSERT INTO codes (code, data, doc, tags, feeling, bytes, price, padded) VALUES"
        """ ('a', 'null', '{"x": [1, 2.00]}', '{"q,r",NULL,"\\""}', 'it''s ok', '\\xff00', 1, 'p'),"""
        " ('b', NULL, NULL, NULL, NULL, NULL, NULL, NULL) RETURNING id, code"
    )

    first, second = await two.shards(COPIES)
    assert result.rows == [(1, "a"), (2, "b")]
    assert first == second
    assert (first[0][4], first[1][4]) == ("null", None)
    assert first[0][5] == '{"x": [1, 2.00]}'


async def test_updates_upserts_and_deletes_of_a_reference_table_reach_every_shard(two):
    await two.run("INSERT INTO codes (code) VALUES ('a'), ('b'), ('c')")

    upserted = await two.run(
        "INSERT INTO codes (code, luck) VALUES ('a', 0.1::float8 + 0.2)"
        " ON CONFLICT (code) DO UPDATE SET luck = excluded.luck RETURNING *",
        form=Form.JSON,
    )
    updated = await two.run(
        "UPDATE codes AS c SET luck = random() WHERE c.code = $1 RETURNING c.luck", "b"
    )
    removed = await two.run("DELETE FROM codes WHERE code = 'c'")

    first, second = await two.shards(COPIES)
    (row,) = json.loads(upserted.body)
    assert first == second
    assert [one[1] for one in first] == ["a", "b"]
    assert (row["luck"], "fluxshard_copy" in row) == (0.1 + 0.2, False)
    assert updated.rows == [(first[1][3],)]
    assert removed.row_count == 1


async def test_json_of_a_reference_write_is_what_postgresql_makes(two):
    await two.run("INSERT INTO pairs VALUES ('a', 1), ('b', 2)")
    sql = "UPDATE pairs SET code = code RETURNING code, part AS \"p,q\", '}' AS brace"

    with pytest.raises(SeveralShardsWritten, match="primary key"):
        await two.run(sql, form=Form.JSON)
    found = await two.run(
        "DELETE FROM pairs RETURNING *, json_build_array(code, '\"]') AS more", form=Form.JSON
    )
    nothing = await two.run("DELETE FROM pairs RETURNING *", form=Form.JSON)

    async with two.world.superuser("shard_0-a") as connection:
        expected = await connection.fetchval(
            "SELECT json_agg(w.*)::text FROM (SELECT v.*, json_build_array(code, '\"]') AS more"
            " FROM (VALUES ('a', 1), ('b', 2)) AS v(code, part)) AS w"
        )
    assert (found.body, found.row_count) == (expected, 2)
    assert (nothing.body, nothing.row_count) == ("[]", 0)
    assert await two.shards("SELECT * FROM pairs") == [[], []]


async def test_concurrent_writers_of_a_reference_table_leave_equal_copies(two):
    await two.run("INSERT INTO codes (code, luck) VALUES ('a', 0)")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(12):
            tasks.create_task(two.run("UPDATE codes SET luck = luck + 1 WHERE code = 'a'"))

    assert await two.shards("SELECT luck FROM codes") == [[(12.0,)], [(12.0,)]]


async def test_a_reference_row_that_one_shard_refuses_is_written_nowhere(two):
    async with two.world.superuser("shard_1-a") as connection:
        await connection.execute("ALTER TABLE codes ADD CHECK (code <> 'x')")

    with pytest.raises(StatementFailed, match="check constraint"):
        await two.run("INSERT INTO codes (code) VALUES ('x')")

    assert await two.shards("SELECT code FROM codes") == [[], []]


async def test_a_table_without_a_primary_key_is_refused(two):
    with pytest.raises(SeveralShardsWritten, match="no primary key"):
        await two.run("INSERT INTO keyless VALUES ('x')")


async def test_rows_of_different_columns_are_refused_before_anything_is_committed(two):
    async with two.world.superuser("shard_1-a") as connection:
        await connection.execute("ALTER TABLE orders ADD more int")

    with pytest.raises(SchemasDiffer, match="different columns"):
        await two.run("INSERT INTO orders (tenant_id, id) VALUES (1, 1), (2, 1) RETURNING *")

    assert await two.shards("SELECT id FROM orders") == [[], []]


async def test_a_function_that_may_read_all_rows_is_not_run_on_each_shard(two):
    for server in SERVERS:
        async with two.world.superuser(server) as connection:
            await connection.execute(
                "CREATE FUNCTION everything() RETURNS numeric LANGUAGE plpgsql AS"
                " 'BEGIN RETURN (SELECT sum(total) FROM orders); END'"
            )
    await two.world.backends.refresh_schema(now=True)

    for sql in (
        "UPDATE orders SET total = everything() WHERE id = 1",
        "INSERT INTO orders (tenant_id, id, total) VALUES (1, 1, everything()), (2, 1, 0)",
        "INSERT INTO pairs SELECT 'x', everything()",
    ):
        with pytest.raises(SeveralShardsWritten, match="everything"):
            await two.run(sql)
