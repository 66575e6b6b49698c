"""Several statements as one transaction at the SQL door."""

import pytest

INSERT = "INSERT INTO orders (tenant_id, id, note) VALUES ($1, $2, $3)"


async def notes(door, tenant):
    sql = "SELECT id FROM orders WHERE tenant_id = $1 ORDER BY id"
    return [row[0] for row in await door.rows(sql, [tenant])]


async def test_all_statements_see_each_other_and_commit(door):
    status, body = await door.together(
        (INSERT, [door.A, 1, "x"]),
        ("UPDATE orders SET note = $1 WHERE tenant_id = $2 RETURNING note", ["y", door.A]),
        ("SELECT id, note FROM orders WHERE tenant_id = $1", [door.A]),
        "SELECT 1 AS one",
    )

    assert status == 200, body
    assert [result["row_count"] for result in body["results"]] == [1, 1, 1, 1]
    assert body["results"][1]["rows"] == [["y"]]
    assert body["results"][2]["rows"] == [[1, "y"]]
    assert body["results"][3]["columns"] == [{"name": "one", "type": "int4"}]
    assert await notes(door, door.A) == [1]


async def test_a_statement_that_fails_undoes_all_and_is_named(door):
    status, body = await door.together(
        (INSERT, [door.A, 1, "x"]), (INSERT, [door.A, 2, "x"]), (INSERT, [door.A, 1, "again"])
    )

    assert (status, body["code"]) == (409, "DUPLICATE_KEY")
    assert body["details"]["statement"] == 2
    assert await notes(door, door.A) == []


async def test_a_refused_statement_keeps_all_from_running(door):
    status, body = await door.together((INSERT, [door.A, 1, "x"]), "SELECT * FROM nowhere")

    assert (status, body["code"]) == (400, "P103")
    assert body["details"]["statement"] == 1
    assert await notes(door, door.A) == []


async def test_a_second_shard_is_refused_by_name(door):
    status, body = await door.together((INSERT, [door.A, 1, "x"]), (INSERT, [door.B, 1, "x"]))

    assert (status, body["code"]) == (400, "P120")
    assert body["details"]["statement"] == 1
    assert await notes(door, door.A) == await notes(door, door.B) == []


async def test_a_gather_is_refused_in_a_transaction(door):
    status, body = await door.together("SELECT id FROM orders")

    assert (status, body["code"]) == (400, "P120")


async def test_statements_for_any_shard_go_where_the_others_are(door):
    status, body = await door.together(
        "SELECT code FROM countries ORDER BY code", (INSERT, [door.B, 1, "x"])
    )

    assert status == 200, body
    assert {result["served_by"][0]["shard"] for result in body["results"]} == {"shard_1"}
    assert body["results"][0]["rows"] == [["at"], ["br"]]


async def test_a_tenants_transaction_is_held_to_its_rows(door):
    await door(INSERT, [door.A2, 1, "other"])

    status, body = await door.together(
        ("INSERT INTO orders (id, note) VALUES ($1, 'own')", [1]),
        "UPDATE orders SET note = 'changed'",
        "SELECT tenant_id, note FROM orders",
        tenant=door.A,
    )

    assert status == 200, body
    assert body["results"][1]["row_count"] == 1
    assert body["results"][2]["rows"] == [[door.A, "changed"]]


async def test_a_read_only_transaction_refuses_writes(door):
    more = {"read_only": True}

    status, body = await door.together((INSERT, [door.A, 1, "x"]), more=more)
    assert (status, body["code"]) == (400, "P121")
    status, body = await door.together(
        "SELECT 1", ("SELECT id FROM orders WHERE tenant_id = $1", [door.A]), more=more
    )
    assert status == 200, body


@pytest.mark.parametrize("isolation", ["read committed", "REPEATABLE READ", "serializable"])
async def test_the_isolation_is_what_was_asked_for(door, isolation):
    status, body = await door.together(
        (INSERT, [door.A, 1, "x"]),
        "SELECT 1 AS one",
        more={"isolation": isolation},
    )

    assert status == 200, body


async def test_a_later_read_of_the_session_sees_the_transaction(door):
    for number in range(10):
        await door.together((INSERT, [door.A, number, "x"]))
        assert len(await notes(door, door.A)) == number + 1


async def test_connections_are_free_again_after_transactions_of_all_kinds(door):
    for number in range(12):
        await door.together((INSERT, [door.A, number, "x"]))
        await door.together((INSERT, [door.A, number, "x"]))
        await door.together("SELECT 1/0 AS x")

    assert len(await notes(door, door.A)) == 12
