"""Calls of functions under /rest/v1/rpc, on the shard of the tenant who calls."""

import json

import pytest

from server.rest import Limits


async def call(library, method, url, tenant, body=None, status=200, **headers):
    reply = await library.postgrest(method, f"/rpc/{url}", body, tenant=tenant, **headers)
    assert reply.status == status, reply.body
    return json.loads(reply.body) if reply.body else None


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        ("add", {"a": 1, "b": 2}, 3),
        ("add", {"a": 1}, 11),
        ("add", {"a": None, "b": 2}, None),
        ("total", {"numbers": [1, 2, 3]}, 6),
        ("total", {}, None),
        ("joined", {"words": ["a", "b,c"], "data": {"x": "!"}}, "a-b,c!"),
        ("upto", {"n": 3}, [1, 2, 3]),
        ("upto", {"n": 0}, []),
        ("one_book?select=title", {"id": 1}, {"title": "Roots"}),
        ("pair", {}, {"a": 1, "b": "x"}),
        ("cheap_books?select=id&order=id", {"most": 20}, [{"id": 1}, {"id": 2}]),
        ("cheap_books?select=id&order=id.desc&limit=1", {"most": 20}, [{"id": 2}]),
        ("cheap_books?select=id&title=eq.Roots", {"most": 20}, [{"id": 1}]),
        (
            "cheap_books?select=id,authors!author_id(name)&id=eq.1",
            {"most": 20},
            [{"id": 1, "authors": {"name": "Ada"}}],
        ),
        (
            "prices?order=price.desc&limit=2",
            {},
            [{"title": "Lost", "price": 40}, {"title": "Stones", "price": 30}],
        ),
        ("prices?price=lt.15", {}, [{"title": "Roots", "price": 10}]),
        ("size_of", [1, 2], 2),
    ],
)
async def test_post_gives_what_the_function_gives(library, tenants, url, body, expected):
    for tenant in tenants:
        assert await call(library, "POST", url, tenant, body) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("add?a=1&b=2", 3),
        ("add?a=5", 15),
        ("total?numbers=1&numbers=2", 3),
        ("total?numbers={1,2,3}", 6),
        ("joined?words={a,b}&data=%7B%22x%22:%22y%22%7D", "a-by"),
        ("upto?n=2", [1, 2]),
        ("one_book?id=2&select=title", {"title": "Leaves"}),
        ("cheap_books?most=20&id=eq.2&select=id", [{"id": 2}]),
        ("pair", {"a": 1, "b": "x"}),
    ],
)
async def test_get_takes_arguments_and_filters(library, tenants, url, expected):
    for tenant in tenants:
        assert await call(library, "GET", url, tenant) == expected


@pytest.mark.parametrize(
    ("url", "accept", "content_type", "body"),
    [
        ("page?title=x", "text/html", "text/html", b"<b>x</b>\n"),
        ("page?title=x", "text/html,application/xml;q=0.9", "text/html", b"<b>x</b>\n"),
        ("page?title=x", "*/*", "application/json; charset=utf-8", b'"<b>x</b>\\n"'),
        ("dot", "image/gif", "image/gif", b"\x00\xff"),
        ("whatever", "chemical/x-pdb", "chemical/x-pdb", b"a"),
        ("whatever", "*/*", "application/octet-stream", b"a"),
    ],
)
async def test_a_function_makes_the_representation_that_its_domain_names(
    library, tenants, url, accept, content_type, body
):
    reply = await library.postgrest("GET", f"/rpc/{url}", tenant=tenants[1], Accept=accept)

    assert (reply.status, reply.content_type, reply.body) == (200, content_type, body)


async def test_a_body_of_a_type_that_nothing_takes_is_refused(library, tenants):
    answer = await call(
        library, "POST", "add", tenants[0], b"a", status=400, Content_Type="application/x-tar"
    )

    assert answer["code"] == "PGRST102"
    assert answer["message"] == "Content-Type not acceptable: application/x-tar"


@pytest.mark.parametrize(
    ("name", "content_type", "body", "expected"),
    [
        ("shout", "text/plain", b"h\xc3\xb6rt", "HÖRT"),
        ("weight", "application/octet-stream", b"\x00\xff'", 3),
    ],
)
async def test_a_body_of_a_functions_type_is_taken_as_a_whole(
    library, tenants, name, content_type, body, expected
):
    answer = await call(library, "POST", name, tenants[0], body, Content_Type=content_type)

    assert answer == expected


async def test_a_function_that_writes_does_so_on_the_tenants_shard(library, tenants):
    for tenant in tenants:
        body = {"id": 4, "title": f"found by {tenant}"}
        await call(library, "POST", "rename", tenant, body, status=204)

        reply = await library.postgrest("GET", "/books?id=eq.4&select=title", tenant=tenant)
        assert json.loads(reply.body) == [{"title": f"found by {tenant}"}]


async def test_a_count_and_a_page_of_a_functions_rows(library, tenants):
    reply = await library.postgrest(
        "GET", "/rpc/prices?limit=1&order=title", tenant=tenants[0], Prefer="count=exact"
    )

    assert (reply.status, dict(reply.headers)["Content-Range"]) == (206, "0-0/4")


async def test_single_values_are_paged_and_their_number_is_told(library, tenants):
    whole = await library.postgrest("POST", "/rpc/upto", {"n": 3}, tenant=tenants[0])
    page = await library.postgrest("GET", "/rpc/upto?n=9&limit=2&offset=4", tenant=tenants[0])
    ranged = await library.postgrest("GET", "/rpc/upto?n=9", tenant=tenants[0], Range="1-2")
    written = await library.postgrest("POST", "/rpc/upto", {"n": 2}, tenant=tenants[0], Range="1-2")
    none = await library.postgrest("GET", "/rpc/upto?n=0", tenant=tenants[0])
    filtered = await library.postgrest("GET", "/rpc/upto?n=2&v=eq.1", tenant=tenants[0])

    replies = (whole, page, ranged, written, none)
    assert [json.loads(reply.body) for reply in replies] == [[1, 2, 3], [5, 6], [2, 3], [1, 2], []]
    assert [dict(reply.headers)["Content-Range"] for reply in replies] == [
        "0-2/*",
        "4-5/*",
        "1-2/*",
        "0-1/*",
        "*/*",
    ]
    assert (filtered.status, json.loads(filtered.body)["code"]) == (400, "PGRST127")


async def test_the_plan_of_a_call_is_shown_where_that_is_allowed(library, tenants):
    allowed = library.over(Limits(plans=True))

    reply = await allowed.postgrest(
        "POST",
        "/rpc/prices",
        {},
        tenant=tenants[0],
        Accept="application/vnd.pgrst.plan+json",
    )

    assert (reply.status, list(json.loads(reply.body)[0])) == (200, ["Plan"])


async def test_head_has_no_body(library, tenants):
    reply = await library.postgrest("HEAD", "/rpc/add?a=1", tenant=tenants[0])

    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "code"),
    [
        ("POST", "nothing", {}, 404, "PGRST202"),
        ("POST", "add", {"c": 1}, 404, "PGRST202"),
        ("POST", "add", {"b": 1}, 404, "PGRST202"),
        ("GET", "add?a=1&c=2", None, 404, "PGRST202"),
        ("POST", "twin", {"x": 1}, 300, "PGRST203"),
        ("GET", "rename?id=1&title=x", None, 405, "25006"),
        ("POST", "add", {"a": "x"}, 400, "22P02"),
        ("POST", "prices?select=nope", {}, 400, "42703"),
        ("POST", "unmarked", {}, 400, "PGRST127"),
        ("PATCH", "add", {"a": 1}, 405, "PGRST101"),
    ],
)
async def test_what_cannot_be_called_is_said(library, tenants, method, url, body, status, code):
    answer = await call(library, method, url, tenants[0], body, status)

    assert answer["code"] == code


async def test_a_close_name_is_offered(library, tenants):
    missing = await call(library, "POST", "ad", tenants[0], {"a": 1}, 404)
    wrong = await call(library, "POST", "add", tenants[0], {"c": 1}, 404)

    assert missing["message"] == "Could not find the function public.ad(a) in the schema cache"
    assert missing["hint"] == "Perhaps you meant to call the function public.add(a, b)"
    assert wrong["details"] == (
        "Searched for the function public.add with parameter c or with a single unnamed json/jsonb"
        " parameter, but no matches were found in the schema cache."
    )
