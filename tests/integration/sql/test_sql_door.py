"""Statements at the SQL door: exact values in and out, and who may ask what."""

import json
from dataclasses import replace

import pytest

ALL = """
INSERT INTO orders (tenant_id, id, note, total, ratio, placed_at, due, data, raw, tags, nums, ref,
    active, period)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING *
"""
VALUES = (
    '{"sql": %s, "params": [%d, 9007199254740993, "it\'s", 12345678901234567890.12345678901234567890,'
    ' 0.1, "2026-01-02T03:04:05.123456Z", "infinity", {"a": [1.10, {"b": null}]}, [1.0, 2],'
    ' ["x,y", null, "\\"q\\"", "NULL"], [3, null, 4], "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", true,'
    ' "[1,5)"]}'
)


async def test_values_go_in_and_come_out_with_their_digits(door):
    status, body = await door.ask((VALUES % (json.dumps(ALL), door.A)).encode())

    assert status == 200, body
    assert body["row_count"] == 1
    assert [column["name"] for column in body["columns"]][:4] == [
        "tenant_id",
        "id",
        "note",
        "total",
    ]
    assert [column["type"] for column in body["columns"]][:4] == ["int4", "int8", "text", "numeric"]
    assert "12345678901234567890.12345678901234567890" in door.text
    assert "9007199254740993" in door.text
    assert body["rows"][0][2] == "it's"
    assert body["rows"][0][5:7] == ["2026-01-02T03:04:05.123456+00:00", "infinity"]
    assert '{"a":[1.10,{"b":null}]}' in door.text
    assert body["rows"][0][9:] == [
        ["x,y", None, '"q"', "NULL"],
        [3, None, 4],
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        True,
        "[1,5)",
    ]


async def test_a_snapshot_of_several_shards_is_read_on_their_primaries(door):
    sql = "SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id"
    status, body = await door(sql, more={"consistency": "snapshot"})

    assert status == 200, body
    assert {one["role"] for one in body["served_by"]} == {"primary"}


async def test_columns_of_one_name_are_all_there(door):
    status, body = await door("SELECT 1 AS a, 'x' AS a, NULL AS b")

    assert status == 200
    assert body["columns"] == [
        {"name": "a", "type": "int4"},
        {"name": "a", "type": "text"},
        {"name": "b", "type": "text"},
    ]
    assert body["rows"] == [[1, "x", None]]


async def test_objects_cannot_hold_two_columns_of_one_name(door):
    status, body = await door("SELECT 1 AS a, 2 AS a", more={"format": "json"})

    assert (status, body["code"]) == (400, "COLUMNS_ALIKE")


async def test_rows_may_be_asked_for_as_objects(door):
    status, body = await door("SELECT 1 AS a, 1.50 AS b", more={"format": "json"})

    assert status == 200
    assert body["rows"] == [{"a": 1, "b": 1.5}]
    assert "1.50" in door.text


async def test_an_empty_answer_has_columns_all_the_same(door):
    status, body = await door("SELECT id, note FROM orders WHERE tenant_id = $1", [door.A])

    assert status == 200
    assert body["rows"] == []
    assert [column["name"] for column in body["columns"]] == ["id", "note"]


async def test_a_statement_without_rows_says_how_many_it_changed(door):
    status, body = await door(
        "INSERT INTO orders (tenant_id, id) SELECT $1, g FROM generate_series(1, 3) AS g", [door.A]
    )

    assert status == 200, body
    assert (body["columns"], body["rows"], body["row_count"]) == ([], [], 3)


@pytest.mark.parametrize(
    ("sql", "value", "shown"),
    [
        ("SELECT $1::numeric AS v", 1.10, 1.1),
        ("SELECT $1::int AS v", "7", 7),
        ("SELECT $1::bool AS v", "yes", True),
        ("SELECT $1::text AS v", 5, "5"),
        ("SELECT $1::text AS v", True, "true"),
        ("SELECT $1::jsonb AS v", '{"a": 1}', {"a": 1}),
        ("SELECT $1::jsonb AS v", [1, [2]], [1, [2]]),
        ("SELECT $1::jsonb AS v", [{"a": 1}], [{"a": 1}]),
        ("SELECT $1::interval AS v", "1 day", "1 day"),
        ("SELECT $1::int[] AS v", "{1,2}", [1, 2]),
        ("SELECT $1::int[] AS v", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ("SELECT $1::timestamptz[] AS v", ["2026-01-01Z"], ["2026-01-01T00:00:00+00:00"]),
        ('SELECT $1::"char" AS v', "x", "x"),
        ("SELECT $1::bit(3) AS v", "101", "101"),
        ("SELECT $1::bytea AS v", "\\x00ff", "\\x00ff"),
        ("SELECT $1::float8 AS v", 1e300, 1e300),
        ("SELECT $1::regclass::text AS v", "orders", "orders"),
        ("SELECT $1::int4range AS v", "[1,2]", "[1,3)"),
        ("SELECT coalesce($1, now()) AS v", "2026-01-01Z", "2026-01-01T00:00:00+00:00"),
        ("SELECT $1::date + 1 AS v", "2026-01-01", "2026-01-02"),
        ("SELECT $1::uuid AS v", None, None),
    ],
)
async def test_postgresql_reads_each_parameter_by_its_type(door, sql, value, shown):
    assert await door.rows(sql, [value]) == [[shown]]


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT $1::int", 7.5),
        ("SELECT $1::int", "seven"),
        ("SELECT $1::int", 2**40),
        ("SELECT $1::date", "soon"),
        ("SELECT $1::uuid", 5),
        ("SELECT $1::int[]", [[1], [2, 3]]),
    ],
)
async def test_a_value_that_is_none_of_its_type_is_refused(door, sql, value):
    status, body = await door(sql, [value])

    assert (status, body["code"]) == (400, "INVALID_INPUT")


async def test_a_parameter_whose_type_would_name_its_column_is_refused(door):
    status, body = await door("SELECT 1.5 UNION ALL SELECT $1", [2])

    assert status == 200 or body["code"] == "PARAMETER_UNTYPED"


async def test_keys_among_the_parameters_route_the_statement(door):
    await door("INSERT INTO orders (tenant_id, id, note) VALUES ($1, 1, 'a')", [door.A])
    await door("INSERT INTO orders (tenant_id, id, note) VALUES ($1, 1, 'b')", [door.B])

    for tenant, note in ((door.A, "a"), (door.B, "b")):
        _, body = await door("SELECT note FROM orders WHERE tenant_id = $1", [tenant])
        assert body["rows"] == [[note]]
    _, one = await door("SELECT 1 FROM orders WHERE tenant_id = $1", [door.A])
    _, other = await door("SELECT 1 FROM orders WHERE tenant_id = $1", [door.B])
    assert one["served_by"][0]["shard"] != other["served_by"][0]["shard"]
    both = "SELECT tenant_id FROM orders WHERE tenant_id = ANY ($1) ORDER BY tenant_id"
    assert await door.rows(both, [[door.A, str(door.B)]]) == [[door.A], [door.B]]


async def test_rows_of_a_json_parameter_route_an_insert(door):
    status, body = await door(
        "INSERT INTO orders (tenant_id, id) SELECT r.tenant_id, r.id"
        " FROM json_to_recordset($1) AS r(tenant_id int, id bigint)",
        [[{"tenant_id": door.B, "id": 5}, {"tenant_id": door.B, "id": 6}]],
    )

    assert (status, body["row_count"]) == (200, 2), body
    assert body["served_by"][0]["shard"] == "shard_1"


async def test_a_write_behind_with_returns_its_rows(door):
    rows = await door.rows(
        "WITH x AS (SELECT 5 AS id) INSERT INTO orders (tenant_id, id)"
        f" SELECT {door.A}, id FROM x RETURNING id"
    )

    assert rows == [[5]]


@pytest.mark.parametrize("key", ["sql", "statement", "query"])
async def test_the_statement_may_be_called_by_any_of_its_names(door, key):
    status, body = await door.ask({key: "SELECT 1"})

    assert (status, body["rows"]) == (200, [[1]])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 5000,
        {},
        {"sql": 5},
        {"sql": "SELECT 1", "query": "SELECT 2"},
        {"sql": "SELECT 1", "params": {}},
        {"sql": "SELECT 1", "read_only": "yes"},
        {"sql": "SELECT 1", "format": "xml"},
        {"sql": "SELECT 1", "surprise": 1},
        {"sql": "SELECT 1", "statements": ["SELECT 1"]},
        {"sql": "SELECT 1", "isolation": "serializable"},
        {"sql": "SELECT 1", "consistency": "eventual"},
        {"statements": ["SELECT 1"], "consistency": "snapshot"},
        {"statements": []},
        {"statements": [5]},
        {"statements": ["SELECT 1"], "params": [1]},
        {"statements": ["SELECT 1"], "isolation": "chaos"},
        {"statements": ["SELECT 1"] * 101},
    ],
)
async def test_a_body_of_another_form_is_refused(door, body):
    status, found = await door.ask(body)

    assert (status, found["code"]) == (400, "INVALID_INPUT")


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT FROM WHERE", "P100"),
        ("SELECT 1; SELECT 2", "P101"),
        ("SELECT * FROM nowhere", "P103"),
        ("SELECT set_config('role', 'none', false)", "P106"),
        ("DELETE FROM orders", "P108"),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_name(door, sql, code):
    status, body = await door(sql)

    assert (status, body["code"]) == (400, code)


async def test_a_wrong_number_of_values_is_refused(door):
    for params in ([], [1, 2]):
        status, body = await door("SELECT $1::int", params)
        assert (status, body["code"]) == (400, "P100")


async def test_postgresqls_own_refusals_come_through(door):
    status, body = await door("SELECT nothing FROM orders WHERE tenant_id = 1")

    assert (status, body["code"]) == (400, "INVALID_INPUT")
    assert 'column "nothing" does not exist' in body["message"]


async def test_a_read_only_request_refuses_what_may_write(door):
    more = {"read_only": True}

    assert (await door("SELECT 1", more=more))[0] == 200
    for sql in (
        f"DELETE FROM orders WHERE tenant_id = {door.A}",
        f"SELECT * FROM orders WHERE tenant_id = {door.A} FOR UPDATE",
        "SELECT some_function()",
    ):
        status, body = await door(sql, more=more)
        assert (status, body["code"]) == (400, "P121")


async def test_a_read_only_door_refuses_what_may_write(door):
    door.settings = replace(door.settings, read_only=True)

    status, body = await door(f"DELETE FROM orders WHERE tenant_id = {door.A}")

    assert (status, body["code"]) == (400, "P121")


async def test_tenants_are_let_in_by_a_setting_only(door):
    door.settings = replace(door.settings, tenants=False)

    status, body = await door("SELECT 1", tenant=door.A)

    assert (status, body["code"]) == (403, "SQL_NOT_ENABLED")
    assert (await door("SELECT 1"))[0] == 200


async def test_a_tenant_reads_and_writes_its_own_rows_only(door):
    for tenant in (door.A, door.A2, door.B):
        await door("INSERT INTO orders (tenant_id, id, note) VALUES ($1, 1, 'mine')", [tenant])

    assert await door.rows("SELECT tenant_id FROM orders", tenant=door.A) == [[door.A]]
    status, body = await door(
        "UPDATE orders SET note = $1 RETURNING tenant_id", ["x"], tenant=door.A
    )
    assert (status, body["rows"]) == (200, [[door.A]])
    status, body = await door("SELECT 1 FROM orders WHERE tenant_id = $1", [door.A2], tenant=door.A)
    assert (status, body["code"]) == (403, "P151")
    notes = await door.rows("SELECT tenant_id FROM orders WHERE note = 'mine' ORDER BY tenant_id")
    assert notes == [[tenant] for tenant in sorted((door.A2, door.B))]


async def test_row_security_holds_at_the_door(door):
    await door(
        "INSERT INTO items (tenant_id, id, secret) VALUES ($1, 1, 'hidden'), ($1, 2, 'open')",
        [door.A],
    )

    assert await door.rows("SELECT id FROM items", tenant=door.A) == [[2]]


async def test_global_tables_are_for_the_service(door):
    assert await door.rows("SELECT count(*) FROM plans") == [[0]]
    status, body = await door("SELECT * FROM plans", tenant=door.A)
    assert (status, body["code"]) == (403, "P154")


@pytest.mark.parametrize("layout", ["rows", "json"])
async def test_a_large_answer_comes_in_pieces_and_is_the_same(door, layout):
    for tenant in (door.A, door.B):
        await door(
            "INSERT INTO orders (tenant_id, id, total)"
            " SELECT $1, g, g * 1.10 FROM generate_series(1, 2500) AS g",
            [tenant],
        )
    sql = "SELECT id, tenant_id, total FROM orders ORDER BY id, tenant_id"

    status, body = await door(sql, more={"format": layout})

    assert status == 200
    assert door.pieces > 2
    assert body["row_count"] == len(body["rows"]) == 5000
    assert len(body["served_by"]) == 2
    rows = [tuple(row.values()) if layout == "json" else tuple(row) for row in body["rows"]]
    wanted = sorted((number, tenant) for tenant in (door.A, door.B) for number in range(1, 2501))
    assert [row[:2] for row in rows] == wanted
    assert "1.10" in door.text
