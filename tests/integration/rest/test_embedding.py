"""Related rows within rows, under /rest/v1: on one shard for a tenant, over both for services."""

import json

import pytest

from server.rest import Limits


async def answer(library, url, tenant, status=200, method="GET", body=None, **headers):
    reply = await library.postgrest(method, url, body, tenant=tenant, **headers)
    assert reply.status == status, reply.body
    return json.loads(reply.body)


EMBEDS = {
    "to one": (
        "/books?select=title,author:authors!author_id(name)&order=id",
        [
            {"title": "Roots", "author": {"name": "Ada"}},
            {"title": "Leaves", "author": {"name": "Ada"}},
            {"title": "Stones", "author": {"name": "Bo"}},
            {"title": "Lost", "author": None},
        ],
    ),
    "to one by its column": (
        "/books?select=id,editor_id(name)&order=id&limit=2",
        [{"id": 1, "editor_id": {"name": "Bo"}}, {"id": 2, "editor_id": None}],
    ),
    "to one by its constraint": (
        "/books?select=id,books_editor(name)&id=eq.1",
        [{"id": 1, "books_editor": {"name": "Bo"}}],
    ),
    "to a reference table": (
        "/authors?select=name,countries(name)&order=id",
        [
            {"name": "Ada", "countries": {"name": "Austria"}},
            {"name": "Bo", "countries": {"name": "Brazil"}},
            {"name": "Cy", "countries": None},
        ],
    ),
    "to many": (
        "/authors?select=name,books!books_author(title)&books.order=title&order=id",
        [
            {"name": "Ada", "books": [{"title": "Leaves"}, {"title": "Roots"}]},
            {"name": "Bo", "books": [{"title": "Stones"}]},
            {"name": "Cy", "books": []},
        ],
    ),
    "one to one, both ways": (
        "/profiles?select=author_id,authors(name,profiles(author_id))",
        [{"author_id": 1, "authors": {"name": "Ada", "profiles": {"author_id": 1}}}],
    ),
    "many to many": (
        "/books?select=title,labels(word)&labels.order=word.desc&order=id&limit=2",
        [
            {"title": "Roots", "labels": [{"word": "old"}, {"word": "green"}]},
            {"title": "Leaves", "labels": [{"word": "green"}]},
        ],
    ),
    "many to many by its junction": (
        "/labels?select=word,books!book_labels(id)&books.order=id&order=id",
        [
            {"word": "green", "books": [{"id": 1}, {"id": 2}]},
            {"word": "old", "books": [{"id": 1}]},
            {"word": "unused", "books": []},
        ],
    ),
    "of the same table, up": (
        "/authors?select=name,mentor_id(name)&order=id",
        [
            {"name": "Ada", "mentor_id": None},
            {"name": "Bo", "mentor_id": {"name": "Ada"}},
            {"name": "Cy", "mentor_id": {"name": "Ada"}},
        ],
    ),
    "of the same table, down": (
        "/authors?select=name,pupils:authors(name)&pupils.order=id&order=id&limit=1",
        [{"name": "Ada", "pupils": [{"name": "Bo"}, {"name": "Cy"}]}],
    ),
    "nested": (
        (
            "/authors?select=name,books!books_author(title,chapters(pages),labels(word))"
            "&books.order=id&books.chapters.order=number.desc&books.labels.word=eq.old&id=eq.1"
        ),
        [
            {
                "name": "Ada",
                "books": [
                    {
                        "title": "Roots",
                        "chapters": [{"pages": 20}, {"pages": 30}, {"pages": 10}],
                        "labels": [{"word": "old"}],
                    },
                    {"title": "Leaves", "chapters": [], "labels": []},
                ],
            }
        ],
    ),
    "every column": (
        "/chapters?select=number,books(*)&book_id=eq.3",
        None,
    ),
    "a page of each": (
        (
            "/books?select=id,chapters(number)&chapters.order=number&chapters.limit=1"
            "&chapters.offset=1&order=id"
        ),
        [
            {"id": 1, "chapters": [{"number": 2}]},
            {"id": 2, "chapters": []},
            {"id": 3, "chapters": []},
            {"id": 4, "chapters": []},
        ],
    ),
    "filtered": (
        (
            "/books?select=id,chapters(number)&chapters.or=(pages.gt.25,pages.lt.15)"
            "&chapters.order=number&id=in.(1,2)&order=id"
        ),
        [{"id": 1, "chapters": [{"number": 1}, {"number": 2}]}, {"id": 2, "chapters": []}],
    ),
    "inner": (
        (
            "/books?select=id,chapters!inner(number)&chapters.pages=gt.9&chapters.order=number.desc"
            "&order=id"
        ),
        [{"id": 1, "chapters": [{"number": 3}, {"number": 2}, {"number": 1}]}],
    ),
    "inner within": (
        (
            "/authors?select=name,books!books_author!inner(title,chapters!inner(number))"
            "&books.chapters.pages=eq.5"
        ),
        [{"name": "Bo", "books": [{"title": "Stones", "chapters": [{"number": 1}]}]}],
    ),
    "only to filter": (
        "/books?select=id,labels!inner()&labels.word=eq.green&order=id",
        [{"id": 1}, {"id": 2}],
    ),
    "without": ("/books?select=id,chapters()&chapters=is.null&order=id", [{"id": 2}, {"id": 4}]),
    "with": (
        "/books?select=id,chapters()&chapters=not.is.null&order=id",
        [{"id": 1}, {"id": 3}],
    ),
    "with or cheap": (
        "/books?select=id,chapters()&or=(chapters.not.is.null,price.lt.25)&order=id",
        [{"id": 1}, {"id": 2}, {"id": 3}],
    ),
    "spread": (
        "/books?select=id,...authors!author_id(author:name,...countries(country:name))&order=id",
        [
            {"id": 1, "author": "Ada", "country": "Austria"},
            {"id": 2, "author": "Ada", "country": "Austria"},
            {"id": 3, "author": "Bo", "country": "Brazil"},
            {"id": 4, "author": None, "country": None},
        ],
    ),
    "spread of many": (
        "/books?select=id,...chapters(number,pages)&chapters.order=pages.desc&order=id&limit=2",
        [
            {"id": 1, "number": [2, 3, 1], "pages": [30, 20, 10]},
            {"id": 2, "number": [], "pages": []},
        ],
    ),
    "related order": (
        "/books?select=id,authors!author_id(name)&order=authors(name).desc.nullslast,id.desc",
        [
            {"id": 3, "authors": {"name": "Bo"}},
            {"id": 2, "authors": {"name": "Ada"}},
            {"id": 1, "authors": {"name": "Ada"}},
            {"id": 4, "authors": None},
        ],
    ),
    "of json": (
        "/chapters?select=pages,books(width:meta->size->>w)&number=eq.2",
        [{"pages": 30, "books": {"width": "3"}}],
    ),
}


@pytest.mark.parametrize(("url", "expected"), EMBEDS.values(), ids=EMBEDS)
async def test_a_tenant_sees_own_related_rows(library, tenants, url, expected):
    for tenant in tenants:
        rows = await answer(library, url, tenant)

        if expected is not None:
            assert rows == expected
        else:
            assert [row["books"]["tenant_id"] for row in rows] == [tenant]


@pytest.mark.parametrize("name", [name for name, (_, rows) in EMBEDS.items() if rows])
async def test_the_service_role_sees_the_rows_of_every_shard(library, tenants, name):
    url, expected = EMBEDS[name]
    url = url.replace("&limit=1", "&limit=2") if "limit=1" in url.split("&") else url
    if "&limit=2" in url:
        return  # a page of both tenants' rows is another one
    url = f"{url}&tenant_id=in.({tenants[0]},{tenants[1]})"

    rows = await answer(library, url, None)

    one_by_one = sorted(json.dumps(row) for row in expected * 2)
    assert sorted(json.dumps(row) for row in rows) == one_by_one


async def test_counts_and_pages_are_of_the_rows_that_inner_leaves(library, tenants):
    reply = await library.postgrest(
        "GET",
        "/books?select=id,chapters!inner(number)&limit=1&order=id",
        tenant=tenants[0],
        Prefer="count=exact",
    )

    assert (reply.status, dict(reply.headers)["Content-Range"]) == (206, "0-0/2")


async def test_csv_holds_embeds_as_json(library, tenants):
    reply = await library.postgrest(
        "GET",
        "/books?select=id,authors!author_id(name)&order=id&limit=1",
        tenant=tenants[0],
        Accept="text/csv",
    )

    assert reply.body.decode() == 'id,authors\n1,"{""name"":""Ada""}"'


async def test_writes_answer_with_related_rows(library, tenants):
    tenant = tenants[1]
    shape = "select=title,authors!author_id(name),chapters(number)"
    body = {"id": 9, "title": "New", "author_id": 2}
    wanted = {"Prefer": "return=representation"}

    made = await answer(library, f"/books?{shape}", tenant, 201, "POST", body, **wanted)
    changed = await answer(
        library,
        f"/books?{shape}&id=eq.1&chapters.number=eq.2",
        tenant,
        200,
        "PATCH",
        {"title": "Changed"},
        **wanted,
    )
    upserted = await answer(
        library,
        f"/books?{shape}&chapters.limit=1&chapters.order=number.desc",
        tenant,
        200,
        "POST",
        [{"id": 1, "title": "Again", "author_id": 2}],
        Prefer="return=representation,resolution=merge-duplicates",
    )
    gone = await answer(library, f"/books?{shape}&id=eq.9", tenant, 200, "DELETE", **wanted)

    assert made == gone == [{"title": "New", "authors": {"name": "Bo"}, "chapters": []}]
    assert changed == [
        {"title": "Changed", "authors": {"name": "Ada"}, "chapters": [{"number": 2}]}
    ]
    assert upserted == [{"title": "Again", "authors": {"name": "Bo"}, "chapters": [{"number": 3}]}]


async def test_the_plain_name_of_an_aliased_relation_works_with_a_warning(library, tenants):
    for _ in range(2):
        reply = await library.postgrest(
            "GET", "/books?select=id,of:chapters(number)&chapters=is.null", tenant=tenants[0]
        )

        assert [row["id"] for row in json.loads(reply.body)] == [2, 4]
        assert dict(reply.headers)["Warning"] == (
            "299 - \"'chapters' is called 'of' in select: filter by that name\""
        )


@pytest.mark.parametrize(("max_rows", "found"), [(1, 1), (2, 2), (None, 3)])
async def test_the_row_cap_holds_for_what_is_embedded(library, tenants, max_rows, found):
    capped = library.over(Limits(max_rows=max_rows))

    rows = await answer(capped, "/books?select=id,chapters(number)&id=eq.1", tenants[0])

    assert len(rows[0]["chapters"]) == found


@pytest.mark.parametrize(
    ("url", "status", "expected"),
    [
        (
            "/books?select=id,authors(name)",
            300,
            {
                "code": "PGRST201",
                "message": "Could not embed because more than one relationship was found for"
                " 'books' and 'authors'",
                "details": [
                    {
                        "cardinality": "many-to-one",
                        "embedding": "books with authors",
                        "relationship": "books_author using books(tenant_id, author_id) and"
                        " authors(tenant_id, id)",
                    },
                    {
                        "cardinality": "many-to-one",
                        "embedding": "books with authors",
                        "relationship": "books_editor using books(tenant_id, editor_id) and"
                        " authors(tenant_id, id)",
                    },
                ],
                "hint": "Try changing 'authors' to one of the following: 'authors!books_author',"
                " 'authors!books_editor'. Find the desired relationship in the 'details' key.",
            },
        ),
        (
            "/books?select=id,chapter(number)",
            400,
            {
                "code": "PGRST200",
                "message": "Could not find a relationship between 'books' and 'chapter' in the"
                " schema cache",
                "details": "Searched for a foreign key relationship between 'books' and 'chapter'"
                " in the schema 'public', but no matches were found.",
                "hint": "Perhaps you meant 'chapters' instead of 'chapter'.",
            },
        ),
        (
            "/books?select=id,authors!nope(name)",
            400,
            {
                "code": "PGRST200",
                "message": "Could not find a relationship between 'books' and 'authors' in the"
                " schema cache",
                "details": "Searched for a foreign key relationship between 'books' and 'authors'"
                " using the hint 'nope' in the schema 'public', but no matches were found.",
                "hint": None,
            },
        ),
        (
            "/books?select=id&chapters.number=eq.1",
            400,
            {
                "code": "PGRST108",
                "message": "'chapters' is not an embedded resource in this request",
                "details": None,
                "hint": "Verify that 'chapters' is included in the 'select' query parameter.",
            },
        ),
        (
            "/books?select=id,chapters(number)&order=chapters(number)",
            400,
            {
                "code": "PGRST118",
                "message": "A related order on 'chapters' is not possible",
                "details": "'books' and 'chapters' do not form a many-to-one or one-to-one"
                " relationship",
                "hint": None,
            },
        ),
        (
            "/books?select=id,chapters(number)&chapters=eq.2",
            400,
            {
                "code": "PGRST120",
                "message": "Bad operator on the 'chapters' embedded resource",
                "details": "Only is null or not is null filters are allowed on embedded resources",
                "hint": None,
            },
        ),
    ],
)
async def test_what_cannot_be_embedded_is_said(library, tenants, url, status, expected):
    assert await answer(library, url, tenants[0], status) == expected


async def test_nothing_of_another_tenant_is_embedded(library, tenants):
    own, other = tenants
    url = f"/authors?select=name,books!books_author(tenant_id,title)&books.tenant_id=eq.{other}"

    reply = await library.postgrest("GET", url, tenant=own)

    rows = json.loads(reply.body)
    assert reply.status in {200, 403}
    if reply.status == 200:
        assert all(row["books"] == [] for row in rows)


AGGREGATES = {
    "of all rows": ("/books?select=price.sum(),count()", [{"sum": 100, "count": 4}]),
    "by groups": (
        "/books?select=author_id,number:id.count(),price.max()&order=author_id",
        [
            {"author_id": 1, "number": 2, "max": 20},
            {"author_id": 2, "number": 1, "max": 30},
            {"author_id": None, "number": 1, "max": 40},
        ],
    ),
    "cast before and after": (
        "/books?select=total:price::int.sum()::text&price=lt.40",
        [{"total": "60"}],
    ),
    "within a relation": (
        "/books?select=id,chapters(pages.sum(),count())&order=id&limit=2",
        [
            {"id": 1, "chapters": [{"sum": 60, "count": 3}]},
            {"id": 2, "chapters": [{"sum": None, "count": 0}]},
        ],
    ),
    "beside a relation": (
        "/books?select=price.sum(),authors!author_id(name)&author_id=not.is.null",
        [
            {"sum": 30, "authors": {"name": "Ada"}},
            {"sum": 30, "authors": {"name": "Bo"}},
        ],
    ),
}


@pytest.mark.parametrize(("url", "expected"), AGGREGATES.values(), ids=AGGREGATES)
async def test_a_tenant_sees_aggregates_of_own_rows(library, tenants, url, expected):
    open_to_all = library.over(Limits(aggregates=True))
    for tenant in tenants:
        rows = await answer(open_to_all, url, tenant)

        assert sorted(rows, key=json.dumps) == sorted(expected, key=json.dumps)


async def test_aggregates_of_every_shard_are_one(library, tenants):
    open_to_all = library.over(Limits(aggregates=True))
    of_both = f"tenant_id=in.({tenants[0]},{tenants[1]})"

    rows = await answer(open_to_all, f"/books?select=price.sum(),count()&{of_both}", None)

    assert rows == [{"sum": 200, "count": 8}]


async def test_aggregates_are_off_unless_the_operator_allows_them(library, tenants):
    refused = await answer(library, "/books?select=price.sum()", tenants[0], 400)
    within = await answer(library, "/books?select=id,chapters(count())", tenants[0], 400)

    assert refused == within
    assert (refused["code"], refused["message"]) == (
        "PGRST123",
        "Use of aggregate functions is not allowed",
    )
