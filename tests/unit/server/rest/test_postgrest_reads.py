"""Reads of the PostgREST dialect: select, order, ranges, counts, representations, profiles."""

import json

import pytest

from router import Result

ROWS = '[{"id":1}, \n {"id":2}]'


def body_of(reply):
    return json.loads(reply.body)


async def test_a_list_has_the_bytes_and_headers_that_clients_know(rest):
    rest.answers.result = Result(2, body=ROWS)

    reply = await rest.postgrest("GET", "/orders?select=*&id=gt.0")

    assert (reply.status, reply.body) == (200, ROWS.encode())
    assert reply.content_type == "application/json; charset=utf-8"
    assert reply.headers == (
        ("Content-Range", "0-1/*"),
        ("Content-Location", "/orders?id=gt.0&select=*"),
        ("Vary", "Accept, Prefer, Range"),
    )
    assert rest.asked == ('SELECT * FROM "public"."orders" WHERE "id" > $1::text::int8', ["0"])


async def test_an_empty_answer_has_no_extent(rest):
    reply = await rest.postgrest("GET", "/orders")

    assert (reply.body, reply.headers[0]) == (b"[]", ("Content-Range", "*/*"))


@pytest.mark.parametrize(
    ("select", "sql"),
    [
        ("id,note", '"id" , "note"'),
        (" id , note ", '"id" , "note"'),
        ("*,n:note", '* , "note" AS "n"'),
        ("n:note", '"note" AS "n"'),
        ('"my n":note', '"note" AS "my n"'),
        ("total::text", 'CAST("total" AS text) AS "total"'),
        ("t:total::numeric", 'CAST("total" AS numeric) AS "t"'),
        ("total::double precision", 'CAST("total" AS double precision) AS "total"'),
        ("tags::text[]", 'CAST("tags" AS text[]) AS "tags"'),
        ("note::mood", 'CAST("note" AS "public"."mood") AS "note"'),
        ("data->a->>b", '("data" -> $1::text ->> $2::text) AS "b"'),
        ("x:data->a::text", 'CAST(("data" -> $1::text) AS text) AS "x"'),
        ("data->0", '("data" -> $1::text::int4) AS "data"'),
        ("home->>street", '(to_jsonb("home") ->> $1::text) AS "street"'),
        ('"od\\"d.,name"', '"od""d.,name"'),
        ("", "*"),
    ],
)
async def test_select_names_casts_and_renames_columns(rest, select, sql):
    reply = await rest.postgrest("GET", f"/orders?select={select}")

    assert reply.status == 200, reply.body
    assert rest.asked[0] == f'SELECT {sql} FROM "public"."orders"'


@pytest.mark.parametrize(
    ("order", "sql"),
    [
        ("id", '"id"'),
        ("id.asc", '"id" ASC'),
        ("id.desc.nullslast,note.nullsfirst", '"id" DESC NULLS LAST, "note" NULLS FIRST'),
        ("data->a->>b.desc", '("data" -> $1::text ->> $2::text) DESC'),
        ("raw->a", '("raw" -> $1::text)::jsonb'),
        ('"od\\"d.,name".desc', '"od""d.,name" DESC'),
    ],
)
async def test_order_needs_no_direction(rest, order, sql):
    reply = await rest.postgrest("GET", f"/orders?order={order}")

    assert reply.status == 200, reply.body
    assert rest.asked[0] == f'SELECT * FROM "public"."orders" ORDER BY {sql}'


async def test_a_column_that_is_renamed_does_not_take_the_place_of_another_in_the_order(rest):
    await rest.postgrest("GET", "/orders?select=id:note,note:id&order=id")

    assert rest.asked[0] == (
        'SELECT "note" AS "id" , "id" AS "note" FROM "public"."orders" ORDER BY "orders"."id"'
    )


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("select=id,", "PGRST100"),
        ("select=a:", "PGRST100"),
        ("select=id::in;t", "PGRST100"),
        ('select="id', "PGRST100"),
        ("select=id::", "PGRST100"),
        ("order=id.up", "PGRST100"),
        ("order=", "PGRST100"),
        ("order=id.asc.desc", "PGRST100"),
        ("order=items(id).desc", "PGRST108"),
        ("columns=id", "PGRST100"),
        ("on_conflict=id", "PGRST100"),
        ("select=nope", "42703"),
        ("select=data->a,nope->b", "42703"),
        ("order=nope", "42703"),
        ("select=note::regclass", "PGRST127"),
        ("select=note::nope[]", "PGRST127"),
        ("select=id,items(*)", "PGRST200"),
        ("select=...items(id)", "PGRST200"),
        ("select=x:...items(id)", "PGRST100"),
        ("select=id,items(id", "PGRST100"),
        ("select=id,items(id))", "PGRST100"),
        ("select=id,items!a!b(id)", "PGRST100"),
        ("select=id,...", "PGRST100"),
        ("select=id,items(a.sum())", "PGRST123"),
        ("select=total.sum()", "PGRST123"),
        ("select=count()", "PGRST123"),
        ("select=items!inner(id)", "PGRST200"),
    ],
)
async def test_what_cannot_be_answered_has_its_code(rest, query, code):
    reply = await rest.postgrest("GET", f"/orders?{query}")

    assert (reply.status, body_of(reply)["code"]) == (400, code)
    assert set(body_of(reply)) == {"code", "message", "details", "hint"}
    assert ("Proxy-Status", f"fluxshard; error={code}") in reply.headers
    assert rest.answers.statements == []


async def test_relations_in_each_other_have_a_limit(rest):
    deep = "items(" * 17 + "id" + ")" * 17

    reply = await rest.postgrest("GET", f"/orders?select={deep}")

    assert (reply.status, body_of(reply)["code"]) == (400, "PGRST100")
    assert "at most 16 relations" in body_of(reply)["details"]


# Ranges and counts


@pytest.mark.parametrize(
    ("query", "headers", "page"),
    [
        ("limit=5", {}, [5]),
        ("limit=0", {}, [0]),
        ("offset=5", {}, [5]),
        ("limit=5&offset=10", {}, [5, 10]),
        ("", {"Range": "0-9"}, [10]),
        ("", {"Range": "10-"}, [10]),
        ("", {"Range": "10-19"}, [10, 10]),
        ("limit=5", {"Range": "0-9"}, [5]),
        ("limit=5&offset=3", {"Range": "4-20"}, [4, 4]),
        ("", {"Range": "bytes=0-9"}, []),
        ("", {"Range": "0-9", "Range_Unit": "items"}, [10]),
        ("", {"Range": "0-9", "Range_Unit": "bytes"}, []),
    ],
)
async def test_limit_offset_and_range_intersect(rest, query, headers, page):
    reply = await rest.postgrest("GET", f"/orders?{query}", **headers)

    assert reply.status == 200
    assert rest.asked[1] == page


@pytest.mark.parametrize(
    ("query", "headers", "details"),
    [
        ("limit=-1", {}, "Limit should be greater than or equal to zero."),
        (
            "",
            {"Range": "9-0"},
            (
                "The lower boundary must be lower than or equal to the upper boundary in the Range"
                " header."
            ),
        ),
        (
            "limit=2",
            {"Range": "5-9"},
            (
                "The lower boundary must be lower than or equal to the upper boundary in the Range"
                " header."
            ),
        ),
    ],
)
async def test_a_range_that_holds_nothing_is_416(rest, query, headers, details):
    reply = await rest.postgrest("GET", f"/orders?{query}", **headers)

    assert (reply.status, body_of(reply)["code"]) == (416, "PGRST103")
    assert body_of(reply)["message"] == "Requested range not satisfiable"
    assert body_of(reply)["details"] == details


async def test_the_row_cap_lowers_limits_silently(make):
    rest = make(max_rows=3)

    await rest.postgrest("GET", "/orders")
    await rest.postgrest("GET", "/orders?limit=10")
    await rest.postgrest("GET", "/orders?limit=2")

    assert [each.args for each in rest.answers.statements] == [(3,), (3,), (2,)]


@pytest.mark.parametrize(
    ("result", "query", "status", "content_range"),
    [
        (Result(2, body=ROWS, total=2), "", 200, "0-1/2"),
        (Result(2, body=ROWS, total=9), "?limit=2", 206, "0-1/9"),
        (Result(2, body=ROWS, total=9), "?limit=2&offset=7", 206, "7-8/9"),
        (Result(0, total=0), "", 200, "*/0"),
        (Result(0, total=9), "?limit=0", 206, "*/9"),
        (Result(0, total=9), "?offset=9", 206, "*/9"),
    ],
)
async def test_a_count_decides_between_200_and_206(rest, result, query, status, content_range):
    rest.answers.result = result

    reply = await rest.postgrest("GET", f"/orders{query}", Prefer="count=exact")

    assert rest.statement.counted
    assert (reply.status, reply.headers[0]) == (status, ("Content-Range", content_range))
    assert ("Preference-Applied", "count=exact") in reply.headers


async def test_a_snapshot_is_taken_when_it_is_preferred(rest):
    plain = await rest.postgrest("GET", "/orders")
    snapshot = await rest.postgrest("GET", "/orders", Prefer="consistency=snapshot")

    assert [context.snapshot for context in rest.answers.contexts] == [False, True]
    assert ("Preference-Applied", "consistency=snapshot") in snapshot.headers
    assert "Preference-Applied" not in dict(plain.headers)


async def test_an_offset_behind_the_last_row_is_416_when_counted(rest):
    rest.answers.result = Result(0, total=9)

    reply = await rest.postgrest("GET", "/orders?offset=10", Prefer="count=exact")

    assert (reply.status, body_of(reply)["code"]) == (416, "PGRST103")
    assert body_of(reply)["details"] == (
        "An offset of 10 was requested, but there are only 9 rows."
    )
    assert ("Content-Range", "*/9") in reply.headers


async def test_a_planned_count_is_no_less_than_what_is_shown(rest):
    rest.answers.result = Result(2, body=ROWS)
    rest.answers.expected = 1

    reply = await rest.postgrest("GET", "/orders", Prefer="count=planned")

    assert ("Content-Range", "0-1/2") in reply.headers
    assert ("Preference-Applied", "count=planned") in reply.headers


async def test_head_is_get_without_a_body(rest):
    rest.answers.result = Result(2, body=ROWS, total=9)

    got = await rest.postgrest("GET", "/orders?limit=2", Prefer="count=exact")
    head = await rest.postgrest("HEAD", "/orders?limit=2", Prefer="count=exact")

    assert (head.status, head.headers, head.body) == (206, got.headers, b"")


# Representations


async def test_one_object_is_exactly_one_row(rest):
    rest.answers.result = Result(1, body='[{"id":1}]')
    accept = "application/vnd.pgrst.object+json"

    one = await rest.postgrest("GET", "/orders?id=eq.1", Accept=accept)
    rest.answers.result = Result(2, body=ROWS)
    two = await rest.postgrest("GET", "/orders", Accept=accept)

    assert (one.status, one.body) == (200, b'{"id":1}')
    assert one.content_type == "application/vnd.pgrst.object+json; charset=utf-8"
    assert (two.status, body_of(two)) == (
        406,
        {
            "code": "PGRST116",
            "message": "Cannot coerce the result to a single JSON object",
            "details": "The result contains 2 rows",
            "hint": None,
        },
    )


async def test_nulls_are_stripped_at_any_depth_and_numbers_keep_their_digits(rest):
    rest.answers.result = Result(
        2, body='[{"a":null,"b":1.50,"c":{"d": null, "e": [null, "x\\"\\n"]}}, \n {"a":true}]'
    )

    reply = await rest.postgrest(
        "GET", "/orders", Accept="application/vnd.pgrst.array+json;nulls=stripped"
    )

    assert reply.body == b'[{"b":1.50,"c":{"e":[null,"x\\"\\n"]}}, \n {"a":true}]'
    assert reply.content_type == "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"


async def test_csv_is_a_header_and_rows_as_postgresql_prints_them(rest):
    rest.answers.result = Result(
        2,
        body='[{"id":"1","note":"a,b","active":"t"}, \n {"id":"2","note":null,"active":""}]',
        total=5,
    )

    reply = await rest.postgrest(
        "GET", "/orders?select=id,note,active&order=id", Accept="text/csv", Prefer="count=exact"
    )

    assert rest.asked[0] == (
        'SELECT "id"::text AS "id" , "note"::text AS "note" , left("active"::text , 1) AS "active"'
        ' FROM "public"."orders" ORDER BY "orders"."id"'
    )
    assert reply.body == b'id,note,active\n1,"a,b",t\n2,,""'
    assert reply.content_type == "text/csv; charset=utf-8"
    assert reply.status == 206


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/json; charset=utf-8"),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "application/json; charset=utf-8"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
        ("text/csv;q=0, application/json", "application/json; charset=utf-8"),
        ("application/vnd.pgrst.array+json", "application/vnd.pgrst.array+json; charset=utf-8"),
    ],
)
async def test_the_best_of_what_is_accepted_is_made(rest, accept, content_type):
    reply = await rest.postgrest("GET", "/orders", Accept=accept)

    assert reply.content_type == content_type


@pytest.mark.parametrize("accept", ["image/png", "application/geo+json", "text/csv;q=x"])
async def test_what_cannot_be_made_is_406(rest, accept):
    reply = await rest.postgrest("GET", "/orders", Accept=accept)

    assert (reply.status, body_of(reply)["code"]) == (406, "PGRST107")


# Paths, methods and profiles


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("", 404, "PGRST126"),
        ("/", 404, "PGRST126"),
        ("/orders/5", 404, "PGRST125"),
        ("/rpc/f", 404, "PGRST202"),
        ("/nope", 404, "PGRST205"),
        ("/%ff", 400, "REQUEST_MALFORMED"),
    ],
)
async def test_other_paths_have_their_code(rest, path, status, code):
    reply = await rest.postgrest("GET", path)

    assert (reply.status, body_of(reply)["code"]) == (status, code)


async def test_an_unknown_table_is_named_with_its_schema_and_a_hint(rest):
    reply = await rest.postgrest("GET", "/order")

    assert body_of(reply) == {
        "code": "PGRST205",
        "message": "Could not find the table 'public.order' in the schema cache",
        "details": None,
        "hint": "Perhaps you meant the table 'public.orders'",
    }


async def test_names_are_percent_decoded_and_locations_are_ascii(rest):
    encoded = await rest.postgrest("GET", "/w%C3%B6rter")
    raw = await rest.postgrest("GET", "/wörter")

    assert encoded.status == raw.status == 200
    assert ("Content-Location", "/w%C3%B6rter") in encoded.headers
    assert ("Content-Location", "/w%C3%B6rter") in raw.headers


async def test_a_profile_chooses_the_schema_and_comes_back(rest):
    reply = await rest.postgrest("GET", "/things", Accept_Profile="app")

    assert rest.asked[0] == 'SELECT * FROM "app"."things"'
    assert ("Content-Profile", "app") in reply.headers


async def test_two_profiles_with_one_path_are_two_tables(rest):
    await rest.postgrest("GET", "/things", Accept_Profile="app")

    reply = await rest.postgrest("GET", "/things", Accept_Profile="public")

    assert body_of(reply)["code"] == "PGRST205"


async def test_a_schema_that_is_not_exposed_is_406(rest):
    reply = await rest.postgrest("GET", "/secrets", Accept_Profile="hidden")

    assert reply.status == 406
    assert body_of(reply) == {
        "code": "PGRST106",
        "message": "Invalid schema: hidden",
        "details": None,
        "hint": "Only the following schemas are exposed: public, app",
    }


async def test_options_says_what_can_be_done(rest):
    table = await rest.postgrest("OPTIONS", "/orders")
    keyless = await rest.postgrest("OPTIONS", "/logs")
    view = await rest.postgrest("OPTIONS", "/open_orders")

    assert (table.status, table.body) == (200, b"")
    assert ("Access-Control-Allow-Origin", "*") in table.headers
    assert dict(table.headers)["Allow"] == "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"
    assert dict(keyless.headers)["Allow"] == "OPTIONS,GET,HEAD,POST,PATCH,DELETE"
    assert dict(view.headers)["Allow"] == "OPTIONS,GET,HEAD"


async def test_another_method_is_405(rest):
    reply = await rest.postgrest("TRACE", "/orders")

    assert (reply.status, body_of(reply)["code"]) == (405, "PGRST117")
    assert body_of(reply)["message"] == "Unsupported HTTP method: TRACE"


# Preferences


async def test_unknown_preferences_are_errors_only_when_handling_is_strict(rest):
    lenient = await rest.postgrest("GET", "/orders", Prefer="foo=bar, count=nope")
    strict = await rest.postgrest("GET", "/orders", Prefer="handling=strict, foo=bar, count=nope")

    assert lenient.status == 200
    assert (strict.status, body_of(strict)["code"]) == (400, "PGRST122")
    assert body_of(strict)["details"] == "Invalid preferences: foo=bar, count=nope"


async def test_the_first_preference_of_a_kind_wins_and_the_order_is_fixed(rest):
    rest.answers.result = Result(2, body=ROWS, total=2)

    reply = await rest.postgrest(
        "GET", "/orders", Prefer='handling=lenient, count="exact", count=planned; x=y'
    )

    assert ("Preference-Applied", "count=exact, handling=lenient") in reply.headers


@pytest.mark.parametrize("policy", ["session", "tenant", "strong", "any", "bounded=500ms"])
@pytest.mark.parametrize("dialect", ["native", "postgrest"])
async def test_a_read_is_as_fresh_as_preferred_and_says_so(rest, dialect, policy):
    reply = await getattr(rest, dialect)("GET", "/orders", Prefer=f"consistency={policy}")

    (context,) = rest.answers.contexts
    assert context.consistency.text() == policy
    assert ("Preference-Applied", f"consistency={policy}") in reply.headers


async def test_a_policy_that_is_not_known_is_ignored_or_refused_as_asked(rest):
    lenient = await rest.postgrest("GET", "/orders", Prefer="consistency=eventual")
    strict = await rest.postgrest("GET", "/orders", Prefer="handling=strict, consistency=eventual")

    assert lenient.status == 200
    assert "Preference-Applied" not in dict(lenient.headers)
    assert strict.status == 400
    assert b"consistency=eventual" in strict.body


async def test_a_write_does_not_say_that_it_followed_a_policy(rest):
    reply = await rest.postgrest("DELETE", "/orders?id=eq.1", Prefer="consistency=strong")

    assert "Preference-Applied" not in dict(reply.headers)
