"""Writes of the native API: bodies, upserts, preferences, single rows."""

import json

import pytest

from router import Result, RowCountUnexpected, StatementFailed
from server.rest.writes import MOST_CELLS

INSERT = 'INSERT INTO "public"."orders" '
SOURCE = "FROM json_to_recordset($1::text::json) AS x"


def body_of(reply):
    return json.loads(reply.body)


async def test_one_object_is_inserted_and_comes_back_as_an_object(rest):
    rest.answers.result = Result(1, body='[{"id":1}]')

    reply = await rest.native("POST", "/orders", '{"note":"a","total":1.50}')

    sql, (rows,) = rest.asked
    assert sql == (
        f'{INSERT}("note", "total") SELECT x."note" , x."total"'
        f' {SOURCE}("note" text, "total" numeric) RETURNING *'
    )
    assert rows.text == '[{"note":"a","total":1.50}]'
    assert list(rows.rows) == [{"note": "a", "total": 1.5}]
    assert (reply.status, reply.body, reply.headers) == (201, b'{"id":1}', ())


async def test_a_batch_has_the_columns_of_all_its_rows_in_the_tables_order(rest):
    rest.answers.result = Result(2, body='[{"id":1}, \n {"id":2}]')

    reply = await rest.native(
        "POST", "/public/orders", ' [{"tags":["x"]}, {"id":9007199254740993,"home":null}]\n'
    )

    sql, (rows,) = rest.asked
    assert sql == (
        f'{INSERT}("id", "tags", "home") SELECT x."id" , x."tags" , x."home"'
        f' {SOURCE}("id" int8, "tags" text[], "home" "public"."address") RETURNING *'
    )
    assert rows.text == '[{"tags":["x"]}, {"id":9007199254740993,"home":null}]'
    assert rows.rows[1]["id"] == 9007199254740993
    assert (reply.status, reply.body) == (201, b'[{"id":1}, \n {"id":2}]')
    assert reply.headers == (("Content-Range", "*/2"), ("X-Affected-Count", "2"))


async def test_the_same_columns_in_any_order_are_one_statement(rest):
    await rest.native("POST", "/orders", {"note": "a", "id": 1})
    await rest.native("POST", "/orders", {"id": 2, "note": "b"})

    first, second = rest.answers.statements
    assert first.sql == second.sql


async def test_an_empty_object_inserts_a_row_of_defaults(rest):
    rest.answers.result = Result(1, body="[{}]")

    await rest.native("POST", "/orders", {})

    assert rest.asked == (f"{INSERT}DEFAULT VALUES RETURNING *", [])


async def test_an_empty_array_inserts_nothing_and_asks_nothing(rest):
    reply = await rest.native("POST", "/orders", [])

    assert (reply.status, reply.body) == (201, b"[]")
    assert rest.answers.statements == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"5",
        b'"x"',
        b"[1]",
        b"[[]]",
        b"[{},[]]",
        b'{"id":NaN}',
        b'{"id":Infinity}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"note":"\\ud800"}',
        b"[{},{}]",
        b'{"data":' + b"[" * 64 + b"]" * 64 + b"}",
    ],
)
async def test_a_body_that_is_no_row_is_400(rest, body):
    reply = await rest.native("POST", "/orders", body)

    assert (reply.status, body_of(reply)["code"]) == (400, "INVALID_INPUT")
    assert rest.answers.statements == []


async def test_a_body_may_nest_64_deep(rest):
    reply = await rest.native("POST", "/logs", b'{"line":' + b"[" * 63 + b"]" * 63 + b"}")

    assert reply.status == 200  # the twin says that no row came back


async def test_an_unknown_key_is_named(rest):
    reply = await rest.native("POST", "/orders", [{"note": "a"}, {"nope": 1}])

    assert (reply.status, body_of(reply)["error"]) == (400, "Unknown column: nope")


async def test_batches_are_limited(make):
    rest = make(max_batch_size=2)

    reply = await rest.native("POST", "/logs", [{"line": "x"}] * 3)

    assert reply.status == 400
    assert body_of(reply)["error"] == "A batch holds at most 2 rows"


async def test_missing_keys_can_be_defaults_where_that_is_null_anyway(rest):
    rest.answers.result = Result(2, body="[{}, \n {}]")
    body = [{"note": "a"}, {"note": "b", "total": 1}]

    plain = await rest.native("POST", "/orders", body)
    defaults = await rest.native("POST", "/orders", body, Prefer="missing=default")

    assert plain == defaults
    first, second = rest.answers.statements
    assert first.sql == second.sql


async def test_rows_of_one_batch_have_defaults_of_their_own(rest):
    await rest.native("POST", "/orders", [{"mood": "ok"}, {"note": "b"}], Prefer="missing=default")

    assert rest.asked[0].startswith(
        'INSERT INTO "public"."orders" ("note", "mood") VALUES'
        ' (DEFAULT, $1::text::"public"."mood") , ($2::text, DEFAULT) RETURNING'
    )
    assert rest.answers.statements[0].args == ("ok", "b")


async def test_rows_with_more_values_than_a_statement_takes_are_refused_by_name(make):
    rows = [{"mood": "ok"}, *({"note": "b"} for _ in range(MOST_CELLS // 2))]
    reply = await make(max_batch_size=MOST_CELLS).native(
        "POST", "/orders", rows, Prefer="missing=default"
    )

    assert (reply.status, body_of(reply)["code"]) == (400, "FEATURE_NOT_SUPPORTED")


# Upserts


@pytest.mark.parametrize(
    ("query", "clause"),
    [
        ("", 'ON CONFLICT ("tenant_id", "id") DO UPDATE SET "note" = EXCLUDED."note"'),
        ("?on_conflict=id", 'ON CONFLICT ("tenant_id", "id") DO UPDATE SET "note" = EXCLUDED."note"'),
        ("?on_conflict=tenant_id,id", 'ON CONFLICT ("tenant_id", "id") DO UPDATE SET "note" = EXCLUDED."note"'),
        ("?on_conflict=note", 'ON CONFLICT ("tenant_id", "note") DO UPDATE SET "id" = EXCLUDED."id"'),
        ("?on_conflict=doc", 'ON CONFLICT ("doc") DO UPDATE SET "id" = EXCLUDED."id" , "note" = EXCLUDED."note"'),
        ("?on_conflict=total", 'ON CONFLICT ("total") DO UPDATE SET "id" = EXCLUDED."id" , "note" = EXCLUDED."note"'),
    ],
)  # fmt: skip
async def test_a_merge_names_the_key_within_the_tenant_and_sets_the_rest(rest, query, clause):
    rest.answers.result = Result(1, body='[{"id":1}]')

    reply = await rest.native(
        "POST",
        f"/orders{query}",
        {"tenant_id": 7, "id": 1, "note": "a"},
        Prefer="resolution=merge-duplicates",
    )

    assert reply.status == 201
    assert f" {clause} RETURNING *" in rest.asked[0]


async def test_ignored_duplicates_are_success_without_a_row(rest):
    prefer = "resolution=ignore-duplicates"

    one = await rest.native("POST", "/orders", {"id": 1, "note": "a"}, Prefer=prefer)
    many = await rest.native("POST", "/orders", [{"id": 1, "note": "a"}], Prefer=prefer)

    assert (one.status, one.body) == (200, b"null")
    assert (many.status, many.body) == (200, b"[]")
    assert (
        'ON CONFLICT ("tenant_id", "id") DO NOTHING RETURNING *' in rest.answers.statements[0].sql
    )


async def test_a_merge_of_nothing_but_the_key_leaves_the_row_and_answers_it(rest):
    await rest.native("POST", "/orders", {"id": 1}, Prefer="resolution=merge-duplicates")

    assert 'DO UPDATE SET "id" = EXCLUDED."id" RETURNING' in rest.asked[0]


async def test_a_table_without_a_key_is_upserted_by_plain_insert(rest):
    await rest.native("POST", "/logs", {"line": "x"}, Prefer="resolution=merge-duplicates")

    assert "CONFLICT" not in rest.asked[0]


@pytest.mark.parametrize(
    ("query", "prefer"),
    [("on_conflict=id", ""), ("on_conflict=nope", "resolution=merge-duplicates"), ("id=eq.1", ""), ("limit=1", ""), ("order=id.asc", ""), ("or=(id.eq.1)", "")],
)  # fmt: skip
async def test_parameters_that_an_insert_has_no_use_for_are_refused(rest, query, prefer):
    reply = await rest.native("POST", f"/orders?{query}", {"id": 1}, Prefer=prefer)

    assert reply.status == 400
    assert rest.answers.statements == []


@pytest.mark.parametrize(
    ("role", "status", "code"),
    [
        ("authenticated", 403, "RLS_POLICY_VIOLATION"),
        ("anon", 401, "AUTHENTICATION_REQUIRED"),
    ],
)
async def test_an_insert_that_gives_no_row_back_was_blocked(rest, role, status, code):
    reply = await rest.native("POST", "/orders", {"note": "a"}, role=role)

    assert (reply.status, body_of(reply)["code"]) == (status, code)


async def test_the_client_may_want_less_back(rest):
    rest.answers.result = Result(1)

    minimal = await rest.native("POST", "/orders", {"note": "a"}, Prefer="return=minimal")
    headers = await rest.native("POST", "/orders", [{"note": "a"}], Prefer="return=headers-only")

    assert (minimal.status, minimal.body, minimal.content_type) == (201, b"", None)
    assert (headers.status, headers.body) == (201, b'{"affected":1}')
    assert all("RETURNING" not in each.sql for each in rest.answers.statements)


async def test_select_shapes_what_comes_back(rest):
    rest.answers.result = Result(1, body='[{"id":1}]')

    await rest.native("POST", "/orders?select=id,data->a", {"note": "a"})

    assert rest.asked[0].endswith(' RETURNING "id" , ("data" -> $2::text) AS "a"')
    assert rest.asked[1][1] == "a"


# Updates and deletes of many rows


async def test_an_update_sets_each_column_from_text_as_it_was_written(rest):
    rest.answers.result = Result(1, body='[{"id":1}]')

    reply = await rest.native(
        "PATCH",
        "/orders?id=eq.1&note=eq.x",
        '{"total": 1.50, "note": "n\\u00e9", "id": 12345678901234567890, "active": true,'
        ' "mood": null, "data": {"a": 1.0,  "b": [true]}, "raw": "text", "tags": ["a", null],'
        ' "nums": "{1,2}", "period": "[1,5)", "home": {"street": "s"}, "note": "last"}',
    )

    sql, args = rest.asked
    assert sql == (
        'UPDATE "public"."orders" SET "id" = $1::text::int8 , "note" = $2::text'
        ' , "total" = $3::text::numeric , "mood" = $4::text::"public"."mood"'
        ' , "data" = $5::text::jsonb , "raw" = $6::text::json'
        ' , "tags" = (SELECT x."tags" FROM json_to_recordset($7::text::json) AS x("tags" text[]))'
        ' , "nums" = (SELECT x."nums" FROM json_to_recordset($8::text::json) AS x("nums" int4[]))'
        ' , "period" = $9::text::int4range , "active" = $10::text::bool'
        ' , "home" = (SELECT x."home" FROM json_to_recordset($11::text::json)'
        ' AS x("home" "public"."address"))'
        ' WHERE "id" = $12::text::int8 AND "note" = $13::text RETURNING *'
    )
    assert args == [
        "12345678901234567890",
        "last",
        "1.50",
        None,
        '{"a": 1.0,  "b": [true]}',
        '"text"',
        '[{"tags":["a", null]}]',
        '[{"nums":"{1,2}"}]',
        "[1,5)",
        "true",
        '[{"home":{"street": "s"}}]',
        "1",
        "x",
    ]
    assert (reply.status, reply.body) == (200, b'[{"id":1}]')
    assert reply.headers == (("Content-Range", "*/1"), ("X-Affected-Count", "1"))


async def test_an_update_that_fits_no_row_is_an_empty_list(rest):
    reply = await rest.native("PATCH", "/orders?id=eq.1", {"note": "x"})

    assert (reply.status, reply.body) == (200, b"[]")


@pytest.mark.parametrize("body", [{}, [], [{"note": "a"}, {"note": "b"}], "5", "{"])
async def test_an_update_needs_one_row_of_columns(rest, body):
    reply = await rest.native("PATCH", "/orders?id=eq.1", body)

    assert reply.status == 400
    assert rest.answers.statements == []


async def test_a_delete_says_what_it_removed(rest):
    rest.answers.result = Result(2, body='[{"id":1}, \n {"id":2}]')

    reply = await rest.native("DELETE", "/orders?or=(id.eq.1,id.eq.2)")

    assert rest.asked[0] == (
        'DELETE FROM "public"."orders" WHERE ("id" = $1::text::int8 OR "id" = $2::text::int8)'
        " RETURNING *"
    )
    assert body_of(reply) == {"affected": 2, "records": [{"id": 1}, {"id": 2}]}


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_bulk_write_without_a_filter_is_refused(rest, method):
    reply = await rest.native(method, "/orders?select=id", {"note": "x"})

    assert (reply.status, body_of(reply)["code"]) == (400, "FILTER_REQUIRED")
    assert rest.answers.statements == []


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("extra", ["limit=1", "order=id.asc", "offset=1", "count=exact"])
async def test_a_bulk_write_does_not_take_a_page(rest, method, extra):
    reply = await rest.native(method, f"/orders?id=gt.1&{extra}", {"note": "x"})

    assert reply.status == 400
    assert rest.answers.statements == []


# One row


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_one_row_is_updated_by_its_id_or_not_at_all(rest, method):
    rest.answers.result = Result(1, body='[{"id":5}]')

    reply = await rest.native(method, "/orders/5", {"note": "x"})

    assert rest.asked == (
        'UPDATE "public"."orders" SET "note" = $1::text WHERE "id" = $2::text::int8 RETURNING *',
        ["x", "5"],
    )
    assert rest.statement.exactly == 1
    assert (reply.status, reply.body) == (200, b'{"id":5}')


async def test_one_row_is_deleted_by_its_id(rest):
    rest.answers.result = Result(1)

    reply = await rest.native("DELETE", "/public/orders/5")

    assert rest.asked == ('DELETE FROM "public"."orders" WHERE "id" = $1::text::int8', ["5"])
    assert rest.statement.exactly == 1
    assert (reply.status, reply.body, reply.content_type) == (204, b"", None)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(("found", "status"), [(0, 404), (2, 400)])
async def test_a_write_of_one_row_that_is_none_or_several_says_so(rest, method, found, status):
    rest.answers.result = RowCountUnexpected(1, found)

    reply = await rest.native(method, "/orders/5", {"note": "x"})

    assert reply.status == status


async def test_errors_of_postgresql_keep_their_place(rest):
    rest.answers.result = StatementFailed("23505", "duplicate key", detail="Key exists")

    reply = await rest.native("POST", "/orders", {"id": 1})

    assert reply.status == 409
    assert body_of(reply)["code"] == "DUPLICATE_KEY"
    assert body_of(reply)["request_id"] == "req-1"
