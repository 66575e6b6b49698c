"""Writes of the PostgREST dialect: POST, PATCH, DELETE, PUT, bodies and preferences."""

import json

import pytest
from multidict import CIMultiDict

from router import Result, RowCountUnexpected
from server.rest.prefer import Preferences, Return, preferences_of

INSERT = 'INSERT INTO "public"."orders" '
SOURCE = "FROM json_to_recordset($1::text::json) AS x"
OBJECT = "application/vnd.pgrst.object+json"
VARY = ("Vary", "Accept, Prefer, Range")


def body_of(reply):
    return json.loads(reply.body)


async def test_an_insert_answers_nothing_by_default(rest):
    rest.answers.result = Result(1)

    reply = await rest.postgrest("POST", "/orders", {"note": "a"})

    sql, (rows,) = rest.asked
    assert sql == f'{INSERT}("note") SELECT x."note" {SOURCE}("note" text)'
    assert rows.text == '[{"note": "a"}]'
    assert (reply.status, reply.body, reply.content_type) == (201, b"", None)
    assert reply.headers == (("Content-Range", "*/*"), VARY)


async def test_an_insert_gives_its_rows_when_they_are_wanted(rest):
    rest.answers.result = Result(2, body='[{"id":1}, \n {"id":2}]')

    reply = await rest.postgrest(
        "POST",
        "/orders?select=n:id",
        [{"note": "a"}, {"note": "b"}],
        Prefer="return=representation,count=exact,resolution=ignore-duplicates",
    )

    assert rest.asked[0].endswith(
        ' ON CONFLICT ("tenant_id", "id") DO NOTHING RETURNING "id" AS "n"'
    )
    assert (reply.status, reply.body) == (201, b'[{"id":1}, \n {"id":2}]')
    assert reply.content_type == "application/json; charset=utf-8"
    assert reply.headers == (
        ("Content-Range", "*/2"),
        (
            "Preference-Applied",
            "resolution=ignore-duplicates, return=representation, count=exact",
        ),
        VARY,
    )


async def test_headers_only_says_where_the_row_is(rest):
    rest.answers.result = Result(1, body='[{"tenant_id":"7","id":"5"}]')

    reply = await rest.postgrest(
        "POST", "/orders", {"note": "a"}, Prefer="return=headers-only", Content_Profile="public"
    )

    assert rest.asked[0].endswith(
        ' RETURNING "tenant_id"::text AS "tenant_id" , "id"::text AS "id"'
    )
    assert (reply.status, reply.body, reply.content_type) == (201, b"", None)
    assert ("Location", "/orders?tenant_id=eq.7&id=eq.5") in reply.headers
    assert ("Content-Profile", "public") in reply.headers


async def test_locations_are_percent_encoded(rest):
    rest.answers.result = Result(1, body='[{"code":"a&b\\r\\nc"}]')

    reply = await rest.postgrest("POST", "/countries", {"code": "x"}, Prefer="return=headers-only")

    assert ("Location", "/countries?code=eq.a%26b%0D%0Ac") in reply.headers


async def test_several_rows_have_no_location(rest):
    rest.answers.result = Result(2)

    reply = await rest.postgrest(
        "POST", "/orders", [{"note": "a"}, {"note": "b"}], Prefer="return=headers-only"
    )

    assert "Location" not in dict(reply.headers)
    assert "RETURNING" not in rest.asked[0]


async def test_rows_of_an_array_have_the_same_keys(rest):
    reply = await rest.postgrest("POST", "/orders", [{"note": "a"}, {"total": 1}])

    assert (reply.status, body_of(reply)["code"]) == (400, "PGRST102")
    assert body_of(reply)["message"] == "All object keys must match"


@pytest.mark.parametrize("columns", ['"note","total"', "note,total", "total, note ,note"])
async def test_columns_decide_what_is_written(rest, columns):
    await rest.postgrest(
        "POST", f"/orders?columns={columns}", [{"note": "a", "id": 1}, {"total": 1}]
    )

    assert rest.asked[0] == (
        f'{INSERT}("note", "total") SELECT x."note" , x."total"'
        f' {SOURCE}("note" text, "total" numeric)'
    )


@pytest.mark.parametrize("url", ["/orders?columns=nope", "/orders"])
async def test_an_unknown_column_is_named(rest, url):
    reply = await rest.postgrest("POST", url, {"nope": 1})

    assert (reply.status, body_of(reply)["code"]) == (400, "PGRST204")
    assert body_of(reply)["message"] == (
        "Could not find the 'nope' column of 'orders' in the schema cache"
    )


async def test_missing_defaults_leave_out_what_no_row_gives(rest):
    rest.answers.result = Result(2)

    reply = await rest.postgrest(
        "POST",
        "/orders?columns=note,mood",
        [{"note": "a"}, {"note": "b"}],
        Prefer="missing=default",
    )

    assert rest.asked[0].startswith(f'{INSERT}("note") ')
    assert ("Preference-Applied", "missing=default") in reply.headers


async def test_rows_have_defaults_of_their_own(rest):
    await rest.postgrest(
        "POST",
        "/orders?columns=note,mood,tags",
        [{"note": "a", "tags": ["x"]}, {"note": "b", "mood": "ok"}],
        Prefer="missing=default",
    )

    assert rest.asked[0] == (
        f'{INSERT}("note", "mood", "tags") VALUES ($1::text, DEFAULT, (SELECT x."tags" FROM'
        ' json_to_recordset($2::text::json) AS x("tags" text[]))) ,'
        ' ($3::text, $4::text::"public"."mood", DEFAULT)'
    )
    assert rest.answers.statements[0].args == ("a", '[{"tags":["x"]}]', "b", "ok")


async def test_an_empty_array_inserts_nothing(rest):
    minimal = await rest.postgrest("POST", "/orders", [])
    rows = await rest.postgrest("POST", "/orders", [], Prefer="return=representation")
    single = await rest.postgrest("POST", "/orders", [], Accept=OBJECT)

    assert (minimal.status, minimal.body) == (201, b"")
    assert (rows.status, rows.body) == (201, b"[]")
    assert (single.status, body_of(single)["details"]) == (406, "The result contains 0 rows")
    assert rest.answers.statements == []


async def test_an_empty_object_inserts_defaults(rest):
    await rest.postgrest("POST", "/orders", {})

    assert rest.asked == (f"{INSERT}DEFAULT VALUES", [])


async def test_a_merge_takes_the_named_key_within_the_tenant(rest):
    await rest.postgrest(
        "POST",
        "/orders?on_conflict=note",
        {"note": "a", "total": 1},
        Prefer="resolution=merge-duplicates",
    )

    assert rest.asked[0].endswith(
        ' ON CONFLICT ("tenant_id", "note") DO UPDATE SET "total" = EXCLUDED."total"'
        ' RETURNING xmax = 0 AS "fluxshard_inserted"'
    )


@pytest.mark.parametrize(("marks", "status"), [("tf", 201), ("ff", 200)])
async def test_a_merge_says_whether_a_row_is_new(rest, marks, status):
    rows = [
        f'{{"fluxshard_inserted":{"true" if mark == "t" else "false"},"id":{mark == "t":d}}}'
        for mark in marks
    ]
    body = ", \n ".join(rows)
    rest.answers.result = Result(2, body=f"[{body}]")
    reply = await rest.postgrest(
        "POST",
        "/orders?select=id",
        [{"id": 1, "note": "a"}, {"id": 0, "note": "b"}],
        Prefer="resolution=merge-duplicates, return=representation",
    )

    assert reply.status == status
    assert reply.body == f'[{{"id":{marks[0] == "t":d}}}, \n {{"id":0}}]'.encode()


async def test_an_unknown_conflict_column_is_named(rest):
    reply = await rest.postgrest(
        "POST", "/orders?on_conflict=nope", {"note": "a"}, Prefer="resolution=merge-duplicates"
    )

    assert (reply.status, body_of(reply)["code"]) == (400, "42703")


async def test_an_insert_has_no_filters(rest):
    reply = await rest.postgrest("POST", "/orders?id=eq.1", {"note": "a"})

    assert reply.status == 400
    assert rest.answers.statements == []


@pytest.mark.parametrize(
    ("method", "url"), [("POST", "/orders"), ("PATCH", "/orders?id=eq.1"), ("DELETE", "/orders")]
)
async def test_a_single_write_is_of_exactly_one_row(rest, method, url):
    rest.answers.result = RowCountUnexpected(1, 3)

    reply = await rest.postgrest(method, url, {"note": "a"}, Accept=OBJECT)

    assert rest.statement.exactly == 1
    assert (reply.status, body_of(reply)["code"]) == (406, "PGRST116")
    assert body_of(reply)["details"] == "The result contains 3 rows"


async def test_a_single_write_gives_its_object(rest):
    rest.answers.result = Result(1, body='[{"id":1}]')

    reply = await rest.postgrest(
        "POST", "/orders", {"note": "a"}, Accept=OBJECT, Prefer="return=representation"
    )

    assert (reply.status, reply.body) == (201, b'{"id":1}')
    assert reply.content_type == "application/vnd.pgrst.object+json; charset=utf-8"


# Other bodies


async def test_csv_is_rows_of_text_with_null(rest):
    await rest.postgrest(
        "POST", "/orders", 'note,total\n"a ""b"",\nc",1.50\nNULL,2\n', Content_Type="text/csv"
    )

    (rows,) = rest.statement.args
    assert json.loads(rows.text) == [
        {"note": 'a "b",\nc', "total": "1.50"},
        {"note": None, "total": "2"},
    ]
    assert list(rows.rows) == json.loads(rows.text)


async def test_a_form_is_one_row_of_text(rest):
    await rest.postgrest(
        "POST",
        "/orders",
        "note=a+b%26&total=",
        Content_Type="application/x-www-form-urlencoded; charset=utf-8",
    )

    (rows,) = rest.statement.args
    assert json.loads(rows.text) == [{"note": "a b&", "total": ""}]


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"", "application/json", "Empty or invalid json"),
        (b"{", "application/json", "Empty or invalid json"),
        (b"x", "image/png", "Content-Type not acceptable: image/png"),
        (b"a,b\n1", "text/csv", "All lines must have same number of fields"),
        (b"a,a\n1,2", "text/csv", "All lines must have same number of fields"),
        (b"", "text/csv", "Empty or invalid csv"),
        (b"\xff", "text/csv", "Empty or invalid csv"),
        (b"%ff=1", "application/x-www-form-urlencoded", "Empty or invalid form"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_body_that_cannot_be_read_says_why(rest, method, body, content_type, message):
    reply = await rest.postgrest(method, "/orders", body, Content_Type=content_type)

    assert (reply.status, body_of(reply)["code"]) == (400, "PGRST102")
    assert body_of(reply)["message"] == message


async def test_an_update_takes_a_row_of_csv_as_well(rest):
    rest.answers.result = Result(1)

    await rest.postgrest("PATCH", "/orders?id=eq.1", "note\na\n", Content_Type="text/csv")

    assert rest.asked == (
        'UPDATE "public"."orders" SET "note" = $1::text WHERE "id" = $2::text::int8',
        ["a", "1"],
    )


# Updates and deletes


async def test_an_update_says_how_many_rows_it_changed(rest):
    rest.answers.result = Result(3)

    minimal = await rest.postgrest("PATCH", "/orders?note=like.a*", {"total": 1.50})
    counted = await rest.postgrest("PATCH", "/orders", {"total": 1}, Prefer="count=exact")

    assert rest.answers.statements[0].sql == (
        'UPDATE "public"."orders" SET "total" = $1::text::numeric WHERE "note" LIKE $2::text'
    )
    assert (minimal.status, minimal.body, minimal.content_type) == (204, b"", None)
    assert minimal.headers == (("Content-Range", "0-2/*"), VARY)
    assert counted.headers[0] == ("Content-Range", "0-2/3")


async def test_an_update_of_no_row_is_no_error(rest):
    reply = await rest.postgrest(
        "PATCH", "/orders?id=eq.1", {"note": "a"}, Prefer="return=representation"
    )

    assert (reply.status, reply.body) == (200, b"[]")
    assert reply.headers[0] == ("Content-Range", "*/*")


@pytest.mark.parametrize("body", [{}, []])
async def test_an_update_without_columns_changes_nothing(rest, body):
    minimal = await rest.postgrest("PATCH", "/orders", body)
    rows = await rest.postgrest("PATCH", "/orders", body, Prefer="return=representation")

    assert (minimal.status, rows.status, rows.body) == (204, 200, b"[]")
    assert rest.answers.statements == []


async def test_columns_of_an_update_that_are_missing_become_null_or_default(rest):
    rest.answers.result = Result(1)
    url = "/orders?id=eq.1&columns=note,mood"

    await rest.postgrest("PATCH", url, [{"note": "a", "total": 5}])
    await rest.postgrest("PATCH", url, {"note": "a"}, Prefer="missing=default")

    null, default = rest.answers.statements
    assert '"note" = $1::text , "mood" = $2::text::"public"."mood"' in null.sql
    assert null.args == ("a", None, "1")
    assert '"note" = $1::text , "mood" = DEFAULT' in default.sql


@pytest.mark.parametrize("body", [[{"note": "a"}, {"note": "b"}], "5", "[1]"])
async def test_an_update_takes_one_row(rest, body):
    reply = await rest.postgrest("PATCH", "/orders?id=eq.1", body)

    assert body_of(reply)["code"] == "PGRST102"


@pytest.mark.parametrize(
    ("prefer", "status", "content_range"),
    [("", 204, "*/*"), ("count=exact", 204, "*/2"), ("return=representation", 200, "*/*")],
)
async def test_a_delete_answers_with_rows_only_when_they_are_wanted(
    rest, prefer, status, content_range
):
    rest.answers.result = Result(2, body="[{}, \n {}]")

    reply = await rest.postgrest("DELETE", "/orders?id=gt.1&order=id&limit=1", Prefer=prefer)

    assert 'DELETE FROM "public"."orders" WHERE "id" > $1::text::int8' in rest.asked[0]
    assert (reply.status, reply.headers[0][1]) == (status, content_range)
    assert (reply.body != b"") == (status == 200)


async def test_an_end_of_the_transaction_that_is_not_allowed_is_not_reported(rest):
    reply = await rest.postgrest("DELETE", "/orders?id=eq.1", Prefer="tx=rollback, return=minimal")

    assert dict(reply.headers)["Preference-Applied"] == "return=minimal"


async def test_what_was_honoured_is_reported_in_its_order(rest):
    prefer = "max-affected=5, timezone=UTC, handling=strict, count=exact, return=minimal"

    reply = await rest.postgrest("PATCH", "/orders?id=eq.1", {"note": "a"}, Prefer=prefer)

    assert dict(reply.headers)["Preference-Applied"] == (
        "return=minimal, count=exact, handling=strict, timezone=UTC, max-affected=5"
    )


async def test_several_headers_are_one_and_the_first_of_a_kind_counts(rest):
    headers = CIMultiDict()
    for value in ("return=representation", "count=exact, return=minimal", "resolution=sideways"):
        headers.add("Prefer", value)

    assert preferences_of(headers) == Preferences(
        returns=Return.REPRESENTATION, count="exact", invalid=("resolution=sideways",)
    )


async def test_a_lenient_client_gets_no_limit_of_rows(rest):
    assert (await rest.postgrest("DELETE", "/orders", Prefer="max-affected=1")).status == 204


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_views_are_not_written(rest, method):
    reply = await rest.postgrest(method, "/open_orders?id=eq.1", {"id": 1})

    assert body_of(reply)["code"] == "PGRST127"


# PUT


@pytest.mark.parametrize("url", ["/orders?id=eq.5", "/orders?tenant_id=eq.7&id=eq.5"])
async def test_put_writes_the_row_of_its_key(rest, url):
    minimal = await rest.postgrest("PUT", url, {"tenant_id": 7, "id": 5, "note": "a"})
    rest.answers.result = Result(1, body='[{"fluxshard_inserted":false,"id":5}]')
    rows = await rest.postgrest(
        "PUT", url, [{"tenant_id": 7, "id": 5, "note": "a"}], Prefer="return=representation"
    )

    assert rest.answers.statements[0].sql == (
        f'{INSERT}("tenant_id", "id", "note") SELECT x."tenant_id" , x."id" , x."note"'
        f' {SOURCE}("tenant_id" int4, "id" int8, "note" text)'
        ' ON CONFLICT ("tenant_id", "id") DO UPDATE SET "note" = EXCLUDED."note"'
    )
    assert (minimal.status, minimal.body) == (204, b"")
    assert (rows.status, rows.body) == (200, b'[{"id":5}]')


@pytest.mark.parametrize(
    ("url", "body", "status", "code"),
    [
        ("/orders", {"id": 5}, 405, "PGRST105"),
        ("/orders?id=gt.5", {"id": 5}, 405, "PGRST105"),
        ("/orders?id=eq.5&note=eq.x", {"id": 5}, 405, "PGRST105"),
        ("/orders?id=eq.5&id=eq.5", {"id": 5}, 405, "PGRST105"),
        ("/orders?id=not.eq.5", {"id": 5}, 405, "PGRST105"),
        ("/orders?id=eq(any).{5}", {"id": 5}, 405, "PGRST105"),
        ("/orders?tenant_id=eq.7", {"id": 5}, 405, "PGRST105"),
        ("/orders?or=(id.eq.5)", {"id": 5}, 405, "PGRST105"),
        ("/logs?line=eq.5", {"line": "5"}, 405, "PGRST105"),
        ("/orders?id=eq.5&limit=1", {"id": 5}, 400, "PGRST114"),
        ("/orders?id=eq.5&offset=1", {"id": 5}, 400, "PGRST114"),
        ("/orders?id=eq.5", {"id": 6}, 400, "PGRST115"),
        ("/orders?id=eq.5", {"note": "a"}, 400, "PGRST115"),
        ("/orders?id=eq.5", [], 400, "PGRST115"),
        ("/orders?id=eq.5", [{"id": 5}, {"id": 5}], 400, "PGRST115"),
    ],
)
async def test_put_is_refused_unless_url_and_body_name_one_row(rest, url, body, status, code):
    reply = await rest.postgrest("PUT", url, body)

    assert (reply.status, body_of(reply)["code"]) == (status, code)
    assert rest.answers.statements == []


async def test_the_first_return_preference_wins(rest):
    reply = await rest.postgrest(
        "POST", "/orders", {"note": "a"}, Prefer="return=minimal, return=representation"
    )

    assert "RETURNING" not in rest.asked[0]
    assert ("Preference-Applied", "return=minimal") in reply.headers
