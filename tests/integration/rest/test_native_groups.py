"""Groups, relations and cursors of the native API: on one shard, and over both."""

import json

import pytest


async def rows_of(library, url, tenant, body=None):
    method = "GET" if body is None else "POST"
    reply = await library.native(method, url, body, tenant=tenant)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


async def test_groups_are_counted_by_get_and_by_post(library, tenants):
    by_query = await rows_of(
        library,
        "/books?select=author_id,count(*),sum(price)&group_by=author_id&order=author_id.asc",
        tenants[0],
    )
    by_body = await rows_of(
        library,
        "/books/query",
        tenants[0],
        {
            "select": "author_id,count(*),sum(price)",
            "groupBy": ["author_id"],
            "order": [{"column": "author_id", "direction": "asc"}],
        },
    )

    assert (
        by_query
        == by_body
        == [
            {"author_id": 1, "count": 2, "sum_price": 30},
            {"author_id": 2, "count": 1, "sum_price": 30},
            {"author_id": None, "count": 1, "sum_price": 40},
        ]
    )


async def test_groups_of_every_shard_are_one(library, tenants):
    both = f"tenant_id=in.({tenants[0]},{tenants[1]})"

    groups = await rows_of(
        library,
        f"/books?select=author_id,count(*)&group_by=author_id&order=count.desc,author_id.asc&{both}",
        None,
    )
    whole = await rows_of(library, f"/books?select=count(*),avg(price),max(id)&{both}", None)

    assert groups == [
        {"author_id": 1, "count": 4},
        {"author_id": 2, "count": 2},
        {"author_id": None, "count": 2},
    ]
    assert whole == [{"count": 8, "avg_price": 25, "max_id": 4}]


@pytest.mark.parametrize("scoped", [True, False])
async def test_relations_are_embedded_where_their_rows_are(library, tenants, scoped):
    url = "/books?select=id,chapters(pages),books_author(name,countries(name))&id=eq.3"
    found = await rows_of(library, url, tenants[0] if scoped else None)

    assert found == [
        {
            "id": 3,
            "chapters": [{"pages": 5}],
            "books_author": {"name": "Bo", "countries": {"name": "Brazil"}},
        }
    ] * (1 if scoped else 2)


async def test_a_cursor_goes_on_behind_the_last_row(library, tenants):
    pages = [
        await rows_of(library, f"/books?select=id&limit=3{rest}", tenants[1])
        for rest in ("&cursor_column=id", "&cursor=3", "&cursor=3&order=id.desc")
    ]

    assert [[row["id"] for row in page] for page in pages] == [[1, 2, 3], [4], [2, 1]]


async def test_what_is_not_related_is_refused(library, tenants):
    reply = await library.native("GET", "/books?select=id,nothing(id)", tenant=tenants[0])

    assert (reply.status, json.loads(reply.body)["code"]) == (400, "RELATIONSHIP_UNKNOWN")
