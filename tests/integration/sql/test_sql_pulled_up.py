"""Answers over all tenants at the SQL door, from real replicas under the service role."""

INSERT = "INSERT INTO orders (tenant_id, id, note, total) VALUES ($1, $2, $3, $4)"


async def fill(door):
    for tenant, number, note, total in [
        (door.A, 1, "x", "1.50"),
        (door.A, 2, "y", "2.25"),
        (door.B, 1, "x", "0.25"),
        (door.B, 3, "Z", None),
    ]:
        await door.rows(INSERT, [tenant, number, note, total])
    await door.rows("INSERT INTO items (tenant_id, id, secret) VALUES ($1, 1, 'hidden')", [door.A])
    await door.rows("INSERT INTO items (tenant_id, id, secret) VALUES ($1, 3, 'x')", [door.B])


async def test_groups_of_all_tenants_are_one_answer(door):
    await fill(door)

    found = await door.rows(
        "SELECT note, count(*), sum(total), avg(total) FROM orders WHERE id < $1"
        ' GROUP BY note ORDER BY note COLLATE "C"',
        [9],
    )

    assert [row[:2] for row in found] == [["Z", 1], ["x", 2], ["y", 1]]
    assert "0.87500000000000000000" in door.text  # PostgreSQL's own digits


async def test_rows_that_policies_hide_from_tenants_are_the_services(door):
    await fill(door)

    found = await door.rows(
        "SELECT o.tenant_id, i.secret FROM orders o JOIN items i ON i.id = o.id ORDER BY 1, 2"
    )

    assert found == sorted([[door.A, "hidden"], [door.B, "hidden"], [door.B, "x"]])


async def test_a_page_in_any_order_and_a_window(door):
    await fill(door)

    page = await door.rows("SELECT note, id FROM orders ORDER BY lower(note) DESC, id LIMIT 2")
    window = await door.rows("SELECT id, rank() OVER (ORDER BY id) FROM orders ORDER BY 1, 2")

    assert page == [["Z", 3], ["y", 2]]
    assert window == [[1, 1], [1, 1], [2, 3], [3, 4]]


async def test_what_the_session_wrote_is_in_it_at_once(door):
    for number in range(5):
        await door.rows(INSERT, [door.B, number, "x", None])
        assert await door.rows("SELECT count(*), max(id) FROM orders") == [[number + 1, number]]


async def test_in_a_transaction_it_is_refused_by_name(door):
    status, body = await door.together("SELECT count(*) FROM orders")

    assert (status, body["code"]) == (400, "P120")
