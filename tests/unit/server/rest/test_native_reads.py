"""Reads of the native API: paths, select, order, pages, counts, ETags, POST /query."""

import json

import pytest

from router import Result

ROWS = '[{"id":1}, \n {"id":2}]'
ORDERS = 'SELECT * FROM "public"."orders"'


def body_of(reply):
    return json.loads(reply.body)


async def test_a_list_is_the_array_that_postgresql_wrote(rest):
    rest.answers.result = Result(2, body=ROWS)

    reply = await rest.native("GET", "/orders")

    assert (reply.status, reply.body, reply.content_type) == (
        200,
        ROWS.encode(),
        "application/json",
    )
    assert rest.asked == (f"{ORDERS} LIMIT $1::bigint", [1000])
    assert not rest.statement.counted


async def test_select_order_limit_and_offset_shape_the_statement(rest):
    await rest.native(
        "GET", "/orders?select=id,note&order=note.desc.nullslast,id.asc&limit=5&offset=10"
    )

    assert rest.asked == (
        (
            'SELECT "id" , "note" FROM "public"."orders" ORDER BY "note" DESC NULLS LAST, "id" ASC'
            " LIMIT $1::bigint OFFSET $2::bigint"
        ),
        [5, 10],
    )


async def test_a_json_path_in_select_is_named_by_its_last_key(rest):
    await rest.native("GET", "/orders?select=data->a->0,id&order=data->a.asc")

    assert rest.asked == (
        (
            'SELECT ("data" -> $1::text -> $2::text::int4) AS "a" , "id" FROM "public"."orders"'
            ' ORDER BY ("orders"."data" -> $3::text) ASC LIMIT $4::bigint'
        ),
        ["a", "0", "a", 1000],
    )


async def test_truncate_cuts_text_and_sorts_by_the_whole(rest):
    await rest.native("GET", "/orders?select=note,total&truncate=3&order=note.asc")

    assert rest.asked == (
        (
            'SELECT left("note"::text , $1::int4) AS "note" , "total" FROM "public"."orders"'
            ' ORDER BY "orders"."note" ASC LIMIT $2::bigint'
        ),
        [3, 1000],
    )


@pytest.mark.parametrize(
    ("query", "role", "args"),
    [
        ("limit=5000", "authenticated", [1000]),
        ("limit=0", "authenticated", [0]),
        ("limit=500&offset=9800", "authenticated", [200, 9800]),
        ("offset=20000", "authenticated", [0, 20000]),
        ("offset=20000", "service_role", [1000, 20000]),
    ],
)
async def test_pages_are_capped_in_size_and_for_users_in_reach(rest, query, role, args):
    await rest.native("GET", f"/orders?{query}", role=role)

    assert rest.asked[1] == args


async def test_an_exact_count_comes_with_the_page(rest):
    rest.answers.result = Result(2, body=ROWS, total=12)

    reply = await rest.native("GET", "/orders?count=exact&offset=10")

    assert rest.statement.counted
    assert ("Content-Range", "10-11/12") in reply.headers
    assert ("Preference-Applied", "count=exact") in reply.headers


async def test_a_planned_count_is_asked_of_the_planner(rest):
    rest.answers.result = Result(2, body=ROWS)
    rest.answers.expected = 400

    reply = await rest.native("GET", "/orders?count=planned&offset=10&note=eq.x")

    planned, page = rest.answers.statements
    assert planned.sql == 'SELECT 1 AS n FROM "public"."orders" WHERE "note" = $1::text'
    assert not page.counted
    assert ("Content-Range", "10-11/400") in reply.headers
    assert ("Preference-Applied", "count=planned") in reply.headers


async def test_an_estimated_count_is_exact_as_long_as_there_are_few(rest):
    rest.answers.result = Result(2, body=ROWS)

    reply = await rest.native("GET", "/orders?count=estimated")

    counting, _ = rest.answers.statements
    assert counting.sql == 'SELECT 1 AS n FROM "public"."orders" LIMIT $1::bigint'
    assert counting.args == (1001,)
    assert ("Content-Range", "0-1/2") in reply.headers


async def test_an_empty_page_has_no_extent(rest):
    rest.answers.result = Result(0, total=12)

    reply = await rest.native("GET", "/orders?count=exact&offset=50")

    assert ("Content-Range", "*/12") in reply.headers


async def test_no_count_is_no_header(rest):
    reply = await rest.native("GET", "/orders?count=none")

    assert [name for name, _ in reply.headers] == ["ETag"]


@pytest.mark.parametrize(
    ("query", "sql"),
    [
        ("select=count(*)", 'SELECT count(*) AS "count" FROM "public"."orders"'),
        (
            "select=note,sum(total),count(id)&group_by=note,id&order=sum_total.desc",
            (
                'SELECT "note" , sum("total") AS "sum_total" , count("id") AS "count_id"'
                ' FROM "public"."orders" GROUP BY "note", "id" ORDER BY "sum_total" DESC'
            ),
        ),
        ("select=note&group_by=note", 'SELECT "note" FROM "public"."orders" GROUP BY "note"'),
        (
            "select=id&cursor_column=id",
            'SELECT "id" FROM "public"."orders" ORDER BY "id" ASC',
        ),
        (
            "select=id&cursor=5",
            'SELECT "id" FROM "public"."orders" WHERE "id" > $1::text::int8 ORDER BY "id" ASC',
        ),
        (
            "select=id&cursor=5&cursor_column=note&order=note.desc,id.asc",
            (
                'SELECT "id" FROM "public"."orders" WHERE "note" < $1::text'
                ' ORDER BY "note" DESC, "id" ASC'
            ),
        ),
    ],
)
async def test_groups_aggregates_and_cursors_are_parts_of_the_statement(rest, query, sql):
    await rest.native("GET", f"/orders?{query}")

    assert rest.statement.sql.rpartition(" LIMIT ")[0] == sql


@pytest.mark.parametrize(
    ("query", "column"),
    [
        ("select=note,count(*)", "note"),
        ("select=note,total&group_by=note", "total"),
        ("group_by=note", "*"),
        ("select=count(*),items(id)", "items"),
    ],
)
async def test_what_stands_beside_aggregates_must_be_grouped(rest, query, column):
    reply = await rest.native("GET", f"/orders?{query}")

    assert reply.status == 400
    assert body_of(reply)["error"] == (
        f"'{column}' stands beside aggregates, and is not in group_by"
    )


async def test_a_cursor_needs_its_column_to_be_the_order(rest):
    reply = await rest.native("GET", "/orders?cursor=5&order=note.asc")

    assert (reply.status, body_of(reply)["code"]) == (400, "INVALID_INPUT")
    assert "the cursor's column id first" in body_of(reply)["error"]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("sum(*)", "a column within sum()"),
        ("id,", "a column, an aggregate or a relation"),
        ("items(id", '"," or ")"'),
        ("id)", "end of input"),
        ("a(" * 17 + "id" + ")" * 17, "at most 16 relations in each other"),
        (",".join(["id"] * 1001), "at most 1000 items"),
    ],
)
async def test_a_select_that_does_not_parse_is_refused(rest, select, expected):
    reply = await rest.native("GET", f"/orders?select={select}")

    assert reply.status == 400
    assert expected in body_of(reply)["error"]


@pytest.mark.parametrize("query", ["order=data.vec_cos.[1,2].asc"])
async def test_what_comes_later_is_refused_by_name(rest, query):
    reply = await rest.native("GET", f"/orders?{query}")

    assert (reply.status, body_of(reply)["code"]) == (400, "FEATURE_NOT_SUPPORTED")
    assert rest.answers.statements == []


@pytest.mark.parametrize(
    "query",
    [
        "order=id",
        "order=id.up",
        "order=id.asc.first",
        "count=all",
        "truncate=-1",
        "truncate=x",
        "truncate=99999999999",
        "limit=-1",
        "on_conflict=id",
        "select=a-b",
        "select=id,,note",
    ],
)
async def test_reserved_parameters_are_not_bent(rest, query):
    reply = await rest.native("GET", f"/orders?{query}")

    assert (reply.status, body_of(reply)["code"]) == (400, "INVALID_INPUT")


@pytest.mark.parametrize("query", ["select=nope", "order=nope.asc", "nope=eq.1"])
async def test_unknown_columns_are_400(rest, query):
    reply = await rest.native("GET", f"/orders?{query}")

    assert (reply.status, body_of(reply)["error"]) == (400, "Unknown column: nope")


# ETag


async def test_a_list_that_has_not_changed_is_304_without_a_body(rest):
    rest.answers.result = Result(2, body=ROWS)
    first = await rest.native("GET", "/orders")
    tag = dict(first.headers)["ETag"]

    again = await rest.native("GET", "/orders", If_None_Match=f'"other", {tag}')
    other = await rest.native("GET", "/orders", If_None_Match='W/"other"')

    assert tag.startswith('W/"')
    assert (again.status, again.body, again.content_type) == (304, b"", None)
    assert ("ETag", tag) in again.headers
    assert other.status == 200


async def test_head_is_get_without_a_body(rest):
    rest.answers.result = Result(2, body=ROWS, total=2)

    got = await rest.native("GET", "/orders?count=exact")
    head = await rest.native("HEAD", "/orders?count=exact")

    assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")


# Paths


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("/orders", "public.orders"),
        ("/orders/", "public.orders"),
        ("/public/orders", "public.orders"),
        ("/app/things", "app.things"),
    ],
)
async def test_a_path_of_one_or_two_segments_is_a_table(rest, path, table):
    reply = await rest.native("GET", path)

    schema, relation = table.split(".")
    assert reply.status == 200
    assert f'FROM "{schema}"."{relation}"' in rest.statement.sql


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/orders/5", '"public"."orders" WHERE "id" = $1::text::int8'),
        ("/public/orders/5", '"public"."orders" WHERE "id" = $1::text::int8'),
        ("/countries/a%2Fb", '"public"."countries" WHERE "code" = $1::text'),
        ("/app/things/5", '"app"."things" WHERE "id" = $1::text::int4'),
    ],
)
async def test_a_further_segment_is_the_id_of_a_row(rest, path, where):
    rest.answers.result = Result(1, body='[{"id":5}]')

    reply = await rest.native("GET", path)

    assert (reply.status, reply.body) == (200, b'{"id":5}')
    assert rest.statement.sql == f"SELECT * FROM {where}"
    assert rest.statement.args == ("a/b" if "%2F" in path else "5",)


async def test_a_row_may_be_selected_in_part_and_not_filtered(rest):
    rest.answers.result = Result(1, body='[{"id":5}]')

    await rest.native("GET", "/orders/5?select=id")
    filtered = await rest.native("GET", "/orders/5?note=eq.x")

    assert rest.asked[0] == 'SELECT "id" FROM "public"."orders" WHERE "id" = $1::text::int8'
    assert filtered.status == 400


async def test_a_row_that_is_not_there_is_404(rest):
    reply = await rest.native("GET", "/orders/5")

    assert (reply.status, body_of(reply)["error"]) == (404, "Record not found")


async def test_an_id_of_several_tenants_is_ambiguous_not_the_first_of_them(rest):
    rest.answers.result = Result(2, body='[{"id":5}, \n {"id":5}]')

    reply = await rest.native("GET", "/orders/5", role="service_role")

    assert (reply.status, body_of(reply)["code"]) == (400, "AMBIGUOUS_ID")


async def test_a_table_without_a_key_has_no_rows_by_id(rest):
    reply = await rest.native("GET", "/logs/5")

    assert reply.status == 400
    assert "no primary key" in body_of(reply)["error"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nope", "Table 'public.nope' not found"),
        ("/app/orders", "Table 'app.orders' not found"),
        ("/hidden/secrets", "Table 'public.hidden' not found"),
        ("/hidden/secrets/1", "Table 'hidden.secrets' not found"),
    ],
)
async def test_an_unknown_or_hidden_table_is_404(rest, path, message):
    reply = await rest.native("GET", path)

    assert (reply.status, body_of(reply)["error"]) == (404, message)


async def test_a_table_name_that_is_nearly_right_gets_a_hint(rest):
    reply = await rest.native("GET", "/order")

    assert body_of(reply)["hint"] == "Perhaps you meant the table 'public.orders'"


@pytest.mark.parametrize(("path", "status"), [("/a/b/c/d", 404), ("//orders", 404), ("/o-x", 400)])
async def test_other_paths_are_refused(rest, path, status):
    assert (await rest.native("GET", path)).status == status


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/orders", "GET, HEAD, POST, PATCH, DELETE"),
        ("POST", "/orders/5", "GET, HEAD, PUT, PATCH, DELETE"),
        ("POST", "/open_orders", "GET, HEAD"),
        ("DELETE", "/open_orders", "GET, HEAD"),
        ("PATCH", "/open_orders/1", "GET, HEAD"),
    ],
)
async def test_a_method_that_the_place_does_not_know_is_405(rest, method, path, allow):
    reply = await rest.native(method, path, {})

    assert reply.status == 405
    assert ("Allow", allow) in reply.headers


async def test_administrators_list_the_exposed_tables(rest):
    reply = await rest.native("GET", "", role="service_role")
    some = await rest.native("GET", "/?schema=app", role="service_role")
    refused = await rest.native("GET", "/")

    listed = body_of(reply)
    assert {"public.orders", "app.things"} <= {f"{t['schema']}.{t['name']}" for t in listed}
    orders = next(table for table in listed if table["name"] == "orders")
    assert orders["path"] == "/api/v1/tables/public/orders"
    assert orders["primary_key"] == ["tenant_id", "id"]
    assert orders["type"] == "table"
    assert orders["rls_enabled"] is True
    assert [table["name"] for table in body_of(some)] == ["things"]
    assert "secrets" not in str(listed)
    assert refused.status == 403


async def test_hidden_schemas_are_not_listed_even_when_named(rest):
    reply = await rest.native("GET", "/?schema=hidden", role="service_role")

    assert body_of(reply) == []


# POST /query


async def test_a_question_in_the_body_is_the_same_as_one_in_the_url(rest):
    rest.answers.result = Result(2, body=ROWS, total=7)

    reply = await rest.native(
        "POST",
        "/orders/query",
        {
            "select": "id,note",
            "filters": [
                {"column": "id", "operator": "in", "value": [1, 2]},
                {"column": "total", "operator": "gte", "value": 1.5},
                {"column": "active", "operator": "eq", "value": True},
                {"column": "note", "operator": "is", "value": None},
                {"column": "tags", "operator": "cs", "value": ["a", 'b"c']},
                {"column": "data", "operator": "not.cs", "value": {"a": [1, None]}},
                {"column": "note", "operator": "in", "value": "(a,b)"},
            ],
            "orFilters": ["id.eq.1,note.gt.2"],
            "andFilters": ["note.neq.x"],
            "betweenFilters": [{"column": "id", "min": 1, "max": 9, "negated": False}],
            "order": [{"column": "id", "direction": "desc", "nulls": "first"}],
            "limit": 5,
            "offset": 1,
            "count": "exact",
            "groupBy": [],
        },
    )

    assert (reply.status, reply.body) == (200, ROWS.encode())
    assert ("Content-Range", "1-2/7") in reply.headers
    assert rest.asked == (
        (
            'SELECT "id" , "note" FROM "public"."orders" WHERE "id" = ANY ($1::text[]::int8[])'
            ' AND "total" >= $2::text::numeric AND "active" = $3::text::bool AND "note" IS NULL'
            ' AND "tags" @> $4::text::text[] AND NOT ("data" @> $5::text::jsonb)'
            ' AND "note" = ANY ($6::text[])'
            ' AND ("id" = $7::text::int8 OR "note" > $8::text) AND "note" <> $9::text'
            ' AND ("id" >= $10::text::int8 AND "id" <= $11::text::int8)'
            ' ORDER BY "id" DESC NULLS FIRST LIMIT $12::bigint OFFSET $13::bigint'
        ),
        [
            ["1", "2"],
            "1.5",
            "true",
            '{"a","b\\"c"}',
            '{"a":[1,null]}',
            ["a", "b"],
            "1",
            "2",
            "x",
            "1",
            "9",
            5,
            1,
        ],
    )


async def test_numbers_of_a_question_keep_their_digits(rest):
    await rest.native(
        "POST",
        "/orders/query",
        '{"filters":[{"column":"total","operator":"eq","value":12345678901234567890.10}]}',
    )

    assert rest.asked[1] == ["12345678901234567890.10", 1000]


async def test_a_negated_between_is_the_opposite(rest):
    await rest.native(
        "POST",
        "/orders/query",
        {"betweenFilters": [{"column": "id", "min": 1, "max": 9, "negated": True}]},
    )

    assert 'WHERE NOT ("id" >= $1::text::int8 AND "id" <= $2::text::int8) LIMIT' in rest.asked[0]


async def test_an_empty_question_is_the_first_page(rest):
    empty = ["filters", "orFilters", "andFilters", "betweenFilters", "order", "groupBy"]

    reply = await rest.native("POST", "/public/orders/query", {key: [] for key in empty})

    assert reply.status == 200
    assert rest.asked == (f"{ORDERS} LIMIT $1::bigint", [1000])


@pytest.mark.parametrize(
    "form",
    [
        [],
        "x",
        {"unknown": 1},
        {"filters": {}},
        {"filters": [1]},
        {"filters": [{"operator": "eq", "value": 1}]},
        {"filters": [{"column": "id", "value": 1}]},
        {"filters": [{"column": "id", "operator": "eq.x", "value": 1}]},
        {"filters": [{"column": "id", "operator": "bogus", "value": 1}]},
        {"filters": [{"column": "id", "operator": "eq", "value": None}]},
        {"filters": [{"column": "id", "operator": "in", "value": 5}]},
        {"filters": [{"column": "id", "operator": "is", "value": [1]}]},
        {"filters": [{"column": 5, "operator": "eq", "value": 1}]},
        {"orFilters": [5]},
        {"orFilters": ["id"]},
        {"betweenFilters": [{"column": "id", "min": 1}]},
        {"order": [{"column": "id", "direction": "up"}]},
        {"order": [{"column": "id", "nulls": "middle"}]},
        {"order": [{"column": "id.asc,note", "direction": "asc"}]},
        {"limit": "5"},
        {"limit": 1.5},
        {"limit": -1},
        {"select": 5},
        {"count": "all"},
        {"groupBy": ["note"]},
        "{",
        b"\xff",
    ],
)
async def test_a_question_of_another_form_is_400(rest, form):
    reply = await rest.native("POST", "/orders/query", form)

    assert reply.status == 400
    assert rest.answers.statements == []


async def test_a_question_is_at_most_a_mebibyte(rest):
    reply = await rest.native("POST", "/orders/query", {"select": "x" * 1_048_576})

    assert reply.status == 413


async def test_a_question_takes_nothing_from_the_url(rest):
    assert (await rest.native("POST", "/orders/query?id=eq.1", {})).status == 400


async def test_views_are_asked_in_the_body_as_well(rest):
    assert (await rest.native("POST", "/open_orders/query", {})).status == 200


async def test_query_is_a_table_where_the_path_says_schema_and_table(rest):
    reply = await rest.native("POST", "/public/query", {})

    assert (reply.status, body_of(reply)["error"]) == (404, "Table 'public.query' not found")


async def test_a_new_schema_is_used_at_once(rest):
    await rest.native("GET", "/countries?name=eq.x")
    table = rest.schema.tables["public.countries"]
    columns = {name: column for name, column in table.columns.items() if name != "name"}
    changed = type(table)(**{**_fields(table), "columns": columns})
    rest.schema = type(rest.schema)("2", {**rest.schema.tables, table.name: changed}, ("public",))

    reply = await rest.native("GET", "/countries?name=eq.x")

    assert body_of(reply)["error"] == "Unknown column: name"


def _fields(value):
    return {name: getattr(value, name) for name in type(value).__slots__}
