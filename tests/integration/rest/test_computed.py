"""Functions of a row as columns and as relations, and relations of views."""

import json

import pytest

from server.rest import Limits


async def answer(library, url, tenant, status=200, **headers):
    reply = await library.postgrest("GET", url, tenant=tenant, **headers)
    assert reply.status == status, reply.body
    return json.loads(reply.body)


FOUND = {
    "a column is selected, filtered and ordered by": (
        "/books?select=id,loud:shouted&shouted=like.*S&order=shouted.desc&price=lt.40",
        [{"id": 3, "loud": "STONES"}, {"id": 1, "loud": "ROOTS"}, {"id": 2, "loud": "LEAVES"}],
    ),
    "a path leads into a computed column": (
        "/books?select=id,facts->cheap&facts->>cheap=eq.true&order=id",
        [{"id": 1, "cheap": True}, {"id": 2, "cheap": True}],
    ),
    "a relation of many rows": (
        "/authors?select=name,works(title)&works.order=title.desc&order=id",
        [
            {"name": "Ada", "works": [{"title": "Roots"}, {"title": "Leaves"}]},
            {"name": "Bo", "works": [{"title": "Stones"}]},
            {"name": "Cy", "works": []},
        ],
    ),
    "a relation of one row, which is an object": (
        "/authors?select=name,best:dearest(title,price)&order=dearest(price).desc.nullslast",
        [
            {"name": "Bo", "best": {"title": "Stones", "price": 30}},
            {"name": "Ada", "best": {"title": "Leaves", "price": 20}},
            {"name": "Cy", "best": None},
        ],
    ),
    "a computed relation within one, spread": (
        "/books?select=id,...editor(by:name)&editor=not.is.null&order=id",
        [{"id": 1, "by": "Bo"}, {"id": 3, "by": "Ada"}],
    ),
    "a computed column within a relation": (
        "/authors?select=name,works!inner(shouted)&works.shouted=eq.STONES",
        [{"name": "Bo", "works": [{"shouted": "STONES"}]}],
    ),
    "from a view to a table": (
        "/book_list?select=title,writer,authors(name)&number=eq.1",
        [{"title": "Roots", "writer": "Ada", "authors": {"name": "Ada"}}],
    ),
    "from a table to a view": (
        "/authors?select=name,book_list(number)&book_list.order=number&id=lt.3&order=id",
        [
            {"name": "Ada", "book_list": [{"number": 1}, {"number": 2}]},
            {"name": "Bo", "book_list": [{"number": 3}]},
        ],
    ),
    "from a view over a view to a view, by its column": (
        "/short_list?select=no,author_list!writer_id(name)&no=eq.3",
        [{"no": 3, "author_list": {"name": "Bo"}}],
    ),
    "from a view over a junction": (
        "/book_list?select=number,labels(word)&labels.order=word&order=number&limit=2",
        [
            {"number": 1, "labels": [{"word": "green"}, {"word": "old"}]},
            {"number": 2, "labels": [{"word": "green"}]},
        ],
    ),
    "between views of a schema that is not exposed": (
        "/rooms?select=name,shelves(id)&shelves.order=id&order=id",
        [
            {"name": "hall", "shelves": [{"id": 1}, {"id": 2}]},
            {"name": "attic", "shelves": []},
        ],
    ),
    "over a view of a junction that is not exposed": (
        "/guests?select=name,rooms(name)&rooms.order=name&order=number",
        [
            {"name": "Eve", "rooms": [{"name": "hall"}]},
            {"name": "Max", "rooms": [{"name": "attic"}, {"name": "hall"}]},
        ],
    ),
}


READS_ROWS = ("a relation of", "a computed")
"""What calls functions that read rows of their own shard: not to be run elsewhere."""


@pytest.mark.parametrize(("url", "expected"), FOUND.values(), ids=FOUND)
async def test_a_tenant_reads_what_is_computed_and_what_views_relate(
    library, tenants, url, expected
):
    for tenant in tenants:
        assert await answer(library, url, tenant) == expected


@pytest.mark.parametrize("name", [name for name, (url, _) in FOUND.items() if "limit" not in url])
async def test_the_service_role_reads_all_but_what_functions_find(library, tenants, name):
    url, expected = FOUND[name]
    url = f"{url}&tenant_id=in.({tenants[0]},{tenants[1]})"
    if name.startswith(READS_ROWS):
        assert (await answer(library, url, None, 400))["code"] == "PGRST127"
        return

    rows = await answer(library, url, None)

    assert sorted(map(json.dumps, rows)) == sorted(json.dumps(row) for row in expected * 2)


async def test_a_tenants_rows_are_all_that_a_computed_relation_gives(library, tenants):
    """`works` compares the author's id only, which both tenants have."""
    for connection in library.connections.values():
        other = await connection.fetchval("SELECT tenant_id FROM books LIMIT 1")
        await connection.execute("INSERT INTO authors VALUES ($1 + 1000, 1, 'Foreign');", other)
        await connection.execute("INSERT INTO books VALUES ($1 + 1000, 1, 'Foreign', 1)", other)

    rows = await answer(library, "/authors?select=works(title)&id=eq.1", tenants[0])

    assert sorted(row["title"] for row in rows[0]["works"]) == ["Leaves", "Roots"]


async def test_a_computed_column_that_is_none_is_unknown(library, tenants):
    for url in ("/books?select=works", "/authors?select=works", "/books?shouting=eq.X"):
        assert (await answer(library, url, tenants[0], 400))["code"] == "42703"


async def test_what_views_are_made_of_is_not_shown_itself(library, tenants):
    for url in ("/book_labels?select=stays(room)", "/rooms?select=rooms_not(id)"):
        assert (await answer(library, url, tenants[0], 400))["code"] == "PGRST200"
    reply = await library.postgrest("GET", "/shelves", tenant=tenants[0], Accept_Profile="hidden")
    native = await library.native("GET", "/hidden/shelves", tenant=tenants[0])

    assert (reply.status, native.status) == (406, 404)


GROUPED = {
    "by paths and casts": (
        "/books?select=width:meta->size->>w,author:author_id::text,price.sum()",
        [
            {"width": "3", "author": "1", "sum": 10},
            {"width": None, "author": "1", "sum": 20},
            {"width": None, "author": "2", "sum": 30},
            {"width": None, "author": None, "sum": 40},
        ],
    ),
    "by a related row, of equal value": (
        "/books?select=count(),by:authors!author_id(country)&author_id=not.is.null",
        [
            {"count": 2, "by": {"country": "at"}},
            {"count": 1, "by": {"country": "br"}},
        ],
    ),
    "by what is spread": (
        "/chapters?select=pages.sum(),...books(title)",
        [{"sum": 60, "title": "Roots"}, {"sum": 5, "title": "Stones"}],
    ),
    "of what is spread": (
        "/chapters?select=book_id,...books(total:price.sum(),price.max())",
        [{"book_id": 1, "total": 30, "max": 10}, {"book_id": 3, "total": 30, "max": 30}],
    ),
}


@pytest.mark.parametrize(("url", "expected"), GROUPED.values(), ids=GROUPED)
async def test_groups_are_of_all_that_is_shown_beside_aggregates(library, tenants, url, expected):
    allowed = library.over(Limits(aggregates=True))

    rows = await answer(allowed, url, tenants[0])

    assert sorted(map(json.dumps, rows)) == sorted(map(json.dumps, expected))
