"""Answers that are too large to be held: the same bytes, in pieces."""

import json

import pytest

from router import WHOLE_ROWS
from server.rest import Limits

MANY = 2 * WHOLE_ROWS + 500
"""Rows of each tenant."""


@pytest.fixture
async def large(api, tenants):
    """The REST API with many orders of each tenant."""
    for connection in api.connections.values():
        await connection.execute("TRUNCATE orders, letters")
    for connection, tenant in zip(api.connections.values(), tenants, strict=True):
        await connection.execute(
            "INSERT INTO orders (tenant_id, id, note, total, raw)"
            " SELECT $1, n, CASE WHEN n % 7 = 0 THEN 'a \"b\", ä' END || n, n / 8.0, '{\"z\": null}'"
            " FROM generate_series(1, $2::int) AS n",
            tenant,
            MANY,
        )
    return api


async def sent(reply):
    """The body as the client gets it."""
    if reply.pieces is None:
        return reply.body
    try:
        return b"".join([piece async for piece in reply.pieces])
    finally:
        await reply.pieces.close()


async def aggregated(connection, sql):
    return (await connection.fetchval(f"SELECT json_agg(r)::text FROM ({sql}) AS r")).encode()


async def test_all_rows_of_a_tenant_come_as_json_agg_writes_them(large, tenants):
    reply = await large.postgrest("GET", "/orders?order=id.desc", tenant=tenants[0])
    connection = next(iter(large.connections.values()))

    assert reply.pieces is not None
    assert reply.status == 200
    assert await sent(reply) == await aggregated(
        connection, "SELECT * FROM orders ORDER BY id DESC"
    )
    assert dict(reply.headers)["Content-Range"] == "0-*/*"


async def test_all_rows_of_all_tenants_come_in_one_order(large, tenants):
    reply = await large.postgrest("GET", "/orders?select=tenant_id,id&order=id,tenant_id")
    first, second = sorted(tenants)

    assert reply.pieces is not None
    assert json.loads(await sent(reply)) == [
        {"tenant_id": tenant, "id": number}
        for number in range(1, MANY + 1)
        for tenant in (first, second)
    ]


async def test_a_page_of_many_rows_comes_in_pieces_too(large):
    reply = await large.postgrest("GET", "/orders?select=id&order=id&limit=1500&offset=1001")

    assert reply.pieces is not None
    assert [row["id"] for row in json.loads(await sent(reply))] == [
        n // 2 + 1 for n in range(1001, 2501)
    ]
    assert dict(reply.headers)["Content-Range"] == "1001-*/*"


async def test_few_rows_far_behind_come_whole(large):
    reply = await large.postgrest("GET", "/orders?select=id&order=id&limit=3&offset=2001")

    assert reply.body == b'[{"id":1001}, \n {"id":1002}, \n {"id":1002}]'
    assert dict(reply.headers)["Content-Range"] == "2001-2003/*"


@pytest.mark.parametrize("rows", [WHOLE_ROWS - 1, WHOLE_ROWS])
async def test_an_answer_that_is_not_large_comes_whole(large, tenants, rows):
    for tenant in (tenants[0], None):
        wanted = f"/orders?select=id&id=lte.{rows}&tenant_id=eq.{tenants[0]}&order=id"
        reply = await large.postgrest("GET", wanted, tenant=tenant)

        assert reply.pieces is None
        assert len(json.loads(reply.body)) == rows
        assert dict(reply.headers)["Content-Range"] == f"0-{rows - 1}/*"


async def test_one_row_more_comes_in_pieces(large, tenants):
    reply = await large.postgrest(
        "GET", f"/orders?select=id&id=lte.{WHOLE_ROWS + 1}&order=id", tenant=tenants[0]
    )

    assert reply.pieces is not None
    assert len(json.loads(await sent(reply))) == WHOLE_ROWS + 1


@pytest.mark.parametrize("as_service", [False, True])
async def test_csv_comes_in_pieces_with_one_header(large, tenants, as_service):
    tenant = None if as_service else tenants[0]
    many = await large.postgrest(
        "GET", "/orders?select=id,note&order=id,tenant_id", tenant=tenant, Accept="text/csv"
    )
    text = await sent(many)
    lines = text.decode().split("\n")

    assert many.pieces is not None
    assert lines[:2] == ["id,note", "1,"]
    assert len(lines) == 1 + MANY * (2 if as_service else 1)
    assert lines.count("id,note") == 1
    few = await large.postgrest(
        "GET",
        f"/orders?select=id,note&order=id,tenant_id&limit={WHOLE_ROWS}",
        tenant=tenant,
        Accept="text/csv",
    )
    assert few.pieces is None
    assert text.startswith(few.body + b"\n")


async def test_nulls_are_stripped_from_pieces(large, tenants):
    accept = "application/vnd.pgrst.array+json;nulls=stripped"
    path = "/orders?select=id,note,raw&order=id"
    many = await large.postgrest("GET", path, tenant=tenants[0], Accept=accept)
    text = await sent(many)
    few = await large.postgrest(
        "GET", f"{path}&limit={WHOLE_ROWS}", tenant=tenants[0], Accept=accept
    )

    assert many.pieces is not None
    assert text.startswith(few.body[:-1] + b", \n ")
    assert len(json.loads(text)) == MANY


async def test_one_object_of_many_rows_is_refused_with_their_number(large, tenants):
    reply = await large.postgrest(
        "GET", "/orders", tenant=tenants[0], Accept="application/vnd.pgrst.object+json"
    )

    assert reply.status == 406
    assert json.loads(reply.body)["details"] == f"The result contains {MANY} rows"


async def test_head_has_the_headers_and_frees_the_rows(large):
    reply = await large.postgrest("HEAD", "/orders")

    assert dict(reply.headers)["Content-Range"] == "0-*/*"
    await reply.pieces.close()
    assert all(rows.abandoned for rows in reply.pieces._stream._opened)


@pytest.mark.parametrize("as_service", [False, True])
async def test_a_count_is_exact_and_known_before_the_rows(large, tenants, as_service):
    tenant = None if as_service else tenants[0]
    total = 2 * MANY if as_service else MANY

    async def ask(query):
        path = f"/orders?select=id&order=id{query}"
        reply = await large.postgrest("GET", path, tenant=tenant, Prefer="count=exact")
        rows = json.loads(await sent(reply))
        return reply.status, dict(reply.headers).get("Content-Range"), len(rows), reply.pieces

    for query, extent, status, rows in (
        ("", f"0-{total - 1}/{total}", 200, total),
        ("&limit=1200", f"0-1199/{total}", 206, 1200),
        ("&offset=3&limit=9999", f"3-{total - 1}/{total}", 206, total - 3),
    ):
        found = await ask(query)
        assert found[:3] == (status, extent, rows)
        assert found[3] is not None
    few = total * 9 // MANY
    assert (await ask("&id=lte.9"))[1:3] == (f"0-{few - 1}/{few}", few)
    behind = await large.postgrest(
        "GET", f"/orders?offset={total + 1}", tenant=tenant, Prefer="count=exact"
    )
    assert (behind.status, behind.pieces) == (416, None)
    assert dict(behind.headers)["Content-Range"] == f"*/{total}"


async def test_a_row_that_is_counted_looks_like_one_that_is_not(large):
    path = "/orders?select=tenant_id,id,note&order=id,tenant_id"
    counted = await large.postgrest("GET", path, Prefer="count=exact")
    plain = await large.postgrest("GET", path)

    assert await sent(counted) == await sent(plain)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_native_api_gives_large_pages_in_pieces(large, method):
    tables = large.over(Limits(default_page_size=4000, max_page_size=4000))
    if method == "GET":
        reply = await tables.native("GET", "/orders?select=id&order=id.asc")
    else:
        question = {"select": "id", "order": [{"column": "id"}]}
        reply = await tables.native("POST", "/orders/query", question)

    assert reply.pieces is not None
    assert reply.content_type == "application/json"
    assert "ETag" not in dict(reply.headers)
    assert [row["id"] for row in json.loads(await sent(reply))] == [n // 2 + 1 for n in range(4000)]
