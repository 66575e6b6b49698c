"""Each operator of each dialect as SQL text and arguments, and each way to get it wrong."""

import json
from urllib.parse import quote

import pytest

NATIVE = [
    ("id=eq.5", '"id" = $1::text::int8', ["5"]),
    ("id=neq.5", '"id" <> $1::text::int8', ["5"]),
    ("id=gt.5", '"id" > $1::text::int8', ["5"]),
    ("id=gte.5", '"id" >= $1::text::int8', ["5"]),
    ("id=lt.5", '"id" < $1::text::int8', ["5"]),
    ("id=lte.5", '"id" <= $1::text::int8', ["5"]),
    ("note=eq.a.b.c", '"note" = $1::text', ["a.b.c"]),
    ("note=eq.", '"note" = $1::text', [""]),
    ("mood=eq.ok", '"mood" = $1::text::"public"."mood"', ["ok"]),
    ("note=like.a*%", '"note" LIKE $1::text', ["a*%"]),
    ("note=ilike._a", '"note" ILIKE $1::text', ["_a"]),
    ("id=in.(1,2)", '"id" = ANY ($1::text[]::int8[])', [["1", "2"]]),
    ("note=in.(a,b c)", '"note" = ANY ($1::text[])', [["a", "b c"]]),
    ('note=in.("a,b","c\\"d",e"f)', '"note" = ANY ($1::text[])', [["a,b", 'c"d', 'e"f']]),
    ("note=in.()", '"note" = ANY ($1::text[])', [[]]),
    ("note=in.(a,)", '"note" = ANY ($1::text[])', [["a", ""]]),
    ("id=nin.(1)", 'NOT ("id" = ANY ($1::text[]::int8[]))', [["1"]]),
    ("id=not.nin.(1)", '"id" = ANY ($1::text[]::int8[])', [["1"]]),
    ("id=is.null", '"id" IS NULL', []),
    ("active=is.TRUE", '"active" IS TRUE', []),
    ("active=is.false", '"active" IS FALSE', []),
    ("id=isnot.null", 'NOT ("id" IS NULL)', []),
    ("id=not.is.null", 'NOT ("id" IS NULL)', []),
    ("id=not.eq.5", 'NOT ("id" = $1::text::int8)', ["5"]),
    ("tags=cs.(a,b c)", '"tags" @> $1::text::text[]', ['{"a","b c"}']),
    ('tags=cs.["a","b"]', '"tags" @> $1::text::text[]', ['{"a","b"}']),
    ('tags=cs.[null,["x"]]', '"tags" @> $1::text::text[]', ['{NULL,{"x"}}']),
    ("tags=cs.{a,b}", '"tags" @> $1::text::text[]', ["{a,b}"]),
    ("tags=cs.[a", '"tags" @> $1::text::text[]', ["[a"]),
    ("tags=cs.[a]", '"tags" @> $1::text::text[]', ["[a]"]),
    ('tags=cs.("a\\\\b")', '"tags" @> $1::text::text[]', ['{"a\\\\b"}']),
    ("nums=eq.(1,2)", '"nums" = $1::text::int4[]', ['{"1","2"}']),
    ('data=cs.{"z":1}', '"data" @> $1::text::jsonb', ['{"z":1}']),
    ("tags=cd.(a)", '"tags" <@ $1::text::text[]', ['{"a"}']),
    ("tags=ov.(a)", '"tags" && $1::text::text[]', ['{"a"}']),
    ("period=ov.[1,5)", '"period" && $1::text::int4range', ["[1,5)"]),
    ("doc=fts.cat", '"doc" @@ plainto_tsquery($1::text)', ["cat"]),
    ("doc=plfts.cat", '"doc" @@ phraseto_tsquery($1::text)', ["cat"]),
    ("doc=wfts.cat", '"doc" @@ websearch_to_tsquery($1::text)', ["cat"]),
    ("note=fts.cat", 'to_tsvector("note") @@ plainto_tsquery($1::text)', ["cat"]),
    ("period=sl.[1,5)", '"period" << $1::text::int4range', ["[1,5)"]),
    ("period=sr.[1,5)", '"period" >> $1::text::int4range', ["[1,5)"]),
    ("period=nxr.[1,5)", '"period" &< $1::text::int4range', ["[1,5)"]),
    ("period=nxl.[1,5)", '"period" &> $1::text::int4range', ["[1,5)"]),
    ("period=adj.[1,5)", '"period" -|- $1::text::int4range', ["[1,5)"]),
    ("id.gte=5", '"id" >= $1::text::int8', ["5"]),
    ("id.not.eq=5", 'NOT ("id" = $1::text::int8)', ["5"]),
    ("id.in=(1,2)", '"id" = ANY ($1::text[]::int8[])', [["1", "2"]]),
    ("id=gte.1&id=lte.9", '"id" >= $1::text::int8 AND "id" <= $2::text::int8', ["1", "9"]),
    ("data->a=eq.1", '("data" -> $1::text) = $2::text::jsonb', ["a", "1"]),
    ("data->a->>b=eq.x", '("data" -> $1::text ->> $2::text) = $3::text', ["a", "b", "x"]),
    ("data->0->>b=eq.x", '("data" -> $1::text::int4 ->> $2::text) = $3::text', ["0", "b", "x"]),
    ("data->>a=gt.5", '("data" ->> $1::text)::numeric > $2::text::numeric', ["a", "5"]),
    ("data->>a=gt.5x", '("data" ->> $1::text) > $2::text', ["a", "5x"]),
    ("data->>a=eq.5", '("data" ->> $1::text) = $2::text', ["a", "5"]),
    ("raw->a=eq.1", '("raw" -> $1::text)::jsonb = $2::text::jsonb', ["a", "1"]),
    ("tags->0=eq.1", '(to_jsonb("tags") -> $1::text::int4) = $2::text::jsonb', ["0", "1"]),
    ("or=(id.eq.1)", '"id" = $1::text::int8', ["1"]),
    ("or=(id.eq.1,note.eq.x)", '("id" = $1::text::int8 OR "note" = $2::text)', ["1", "x"]),
    (
        "or=(id.eq.1,id.eq.2)&or=(note.eq.a,note.eq.b)",
        (
            '("id" = $1::text::int8 OR "id" = $2::text::int8)'
            ' AND ("note" = $3::text OR "note" = $4::text)'
        ),
        ["1", "2", "a", "b"],
    ),
    (
        "and=(or(id.eq.1,note.gt.2),or(id.is.null,id.in.(1,2)))",
        (
            '(("id" = $1::text::int8 OR "note" > $2::text)'
            ' AND ("id" IS NULL OR "id" = ANY ($3::text[]::int8[])))'
        ),
        ["1", "2", ["1", "2"]],
    ),
    ("and=(id.gt.1,id.lt.9)", '("id" > $1::text::int8 AND "id" < $2::text::int8)', ["1", "9"]),
    (
        "not.or=(id.eq.1,note.eq.x)",
        'NOT ("id" = $1::text::int8 OR "note" = $2::text)',
        ["1", "x"],
    ),
    ("not.and=(id.eq.1)", 'NOT ("id" = $1::text::int8)', ["1"]),
    (
        "or=(id.eq.1,not.and(note.like.%a%,id.not.in.(1,2)))",
        (
            '("id" = $1::text::int8 OR'
            ' NOT ("note" LIKE $2::text AND NOT ("id" = ANY ($3::text[]::int8[]))))'
        ),
        ["1", "%a%", ["1", "2"]],
    ),
    (
        'or=(note.eq."x,y)", tags.cs.(a,b),tags.ov.["c,d"] ,period.ov.[1,5),data.cs.{"a":"}"})',
        (
            '("note" = $1::text OR "tags" @> $2::text::text[] OR "tags" && $3::text::text[]'
            ' OR "period" && $4::text::int4range OR "data" @> $5::text::jsonb)'
        ),
        ["x,y)", '{"a","b"}', '{"c,d"}', "[1,5)", '{"a":"}"}'],
    ),
    ("or=(data->>a.gt.5)", '("data" ->> $1::text)::numeric > $2::text::numeric', ["a", "5"]),
    ('or=(id.in.(1,"2)"),id.in.(a"b))', None, [["1", "2)"], ['a"b']]),
]

POSTGREST = [
    ("id=eq.5", '"id" = $1::text::int8', ["5"]),
    ("id=neq.5", '"id" <> $1::text::int8', ["5"]),
    ("note=like.a*b%", '"note" LIKE $1::text', ["a%b%"]),
    ("note=ilike.*a*", '"note" ILIKE $1::text', ["%a%"]),
    ("note=match.^a*", '"note" ~ $1::text', ["^a*"]),
    ("note=imatch.^a", '"note" ~* $1::text', ["^a"]),
    ("id=isdistinct.5", '"id" IS DISTINCT FROM $1::text::int8', ["5"]),
    ("id=not.isdistinct.5", 'NOT ("id" IS DISTINCT FROM $1::text::int8)', ["5"]),
    ("id=is.not_null", '"id" IS NOT NULL', []),
    ("active=is.Unknown", '"active" IS UNKNOWN', []),
    ('id=in.(1,"2")', '"id" = ANY ($1::text[]::int8[])', [["1", "2"]]),
    ("doc=fts.a & b", '"doc" @@ to_tsquery($1::text)', ["a & b"]),
    ("doc=plfts.a", '"doc" @@ plainto_tsquery($1::text)', ["a"]),
    ("doc=phfts.a", '"doc" @@ phraseto_tsquery($1::text)', ["a"]),
    ("doc=wfts.a", '"doc" @@ websearch_to_tsquery($1::text)', ["a"]),
    (
        "note=fts(english).a",
        "to_tsvector('english'::regconfig , \"note\") @@ to_tsquery('english'::regconfig , $1::text)",
        ["a"],
    ),
    (
        "note=fts(o'x).a",
        'to_tsvector($1::text::regconfig , "note") @@ to_tsquery($1::text::regconfig , $2::text)',
        ["o'x", "a"],
    ),
    ("tags=cs.{a,b}", '"tags" @> $1::text::text[]', ["{a,b}"]),
    ("tags=cs.(a,b)", '"tags" @> $1::text::text[]', ["(a,b)"]),
    ("period=adj.[1,5)", '"period" -|- $1::text::int4range', ["[1,5)"]),
    ("note=like(any).{O*,P*}", '"note" LIKE ANY ($1::text::text[])', ["{O%,P%}"]),
    ("id=eq(any).{1,2}", '"id" = ANY ($1::text::int8[])', ["{1,2}"]),
    ("id=gte(all).{1,2}", '"id" >= ALL ($1::text::int8[])', ["{1,2}"]),
    ("note=not.match(all).{a}", 'NOT ("note" ~ ALL ($1::text::text[]))', ["{a}"]),
    ("data->>a=gt.5", '("data" ->> $1::text) > $2::text', ["a", "5"]),
    ("data->-1->>a=eq.5", '("data" -> $1::text::int4 ->> $2::text) = $3::text', ["-1", "a", "5"]),
    ('"od\\"d.,name"=eq.1', '"od""d.,name" = $1::text', ["1"]),
    ('or=("od\\"d.,name".eq.1,id.eq.2)', None, ["1", "2"]),
    (
        "or=(id.eq.1,and(note.gt.b,not.or(id.is.null,note.eq.d)))",
        '("id" = $1::text::int8 OR ("note" > $2::text AND NOT ("id" IS NULL OR "note" = $3::text)))',
        ["1", "b", "d"],
    ),
    (
        'or=(note.eq."x,y",tags.cs.{a,"b)"},id.in.(1,2))',
        '("note" = $1::text OR "tags" @> $2::text::text[] OR "id" = ANY ($3::text[]::int8[]))',
        ["x,y", '{a,"b)"}', ["1", "2"]],
    ),
]

UNPARSABLE = [
    "id=5",
    "id=bogus.5",
    "id=eq",
    "id=",
    "id=in.1,2",
    "id=in.(1",
    "id=is.5",
    "id=is(any).null",
    "id=EQ.5",
    "data->=eq.5",
    "data->>a->b=eq.5",
    "id=cs(any).5",
    "or=id.eq.1",
    "or=()",
    "or=(id)",
    "or=(id.eq.1",
    "or=(id.eq.1))",
    "or=(id.eq.1,)",
    "or=(id.bogus.1)",
    "or=(or())",
    "or=(id.in.(1,2)",
    "or=(tags.cs.{a)",
    "or=" + "(or" * 40 + "(id.eq.1)" + ")" * 40,
    "or=(" + ",".join(["id.eq.1"] * 501) + ")",
    "or=(id.eq." + "1" * 65_536 + ")",
    "data" + "->a" * 65 + "=eq.1",
    "select=" + ",".join(["id"] * 1001),
    "order=" + ",".join(["id.asc"] * 1001),
    "&".join(["id=eq.1"] * 1001),
    "select=id&select=note",
    "order=id.asc&order=id.desc",
    "limit=x",
    "limit=1.5",
    "offset=-1",
    "limit=99999999999999999999",
    "=eq.5",
    "id=%00",
    "id=%ff",
]


def encoded(query):
    return "&".join(
        f"{quote(name)}={quote(value)}"
        for name, _, value in (part.partition("=") for part in query.split("&"))
    )


@pytest.mark.parametrize(("query", "where", "args"), NATIVE)
async def test_native_filters_mean_this_sql(rest, query, where, args):
    reply = await rest.native("GET", f"/orders?{encoded(query)}")

    assert reply.status == 200, reply.body
    sql, found = rest.asked
    start, end = 'SELECT * FROM "public"."orders" WHERE ', f" LIMIT ${len(args) + 1}::bigint"
    assert sql.startswith(start)
    assert sql.endswith(end)
    assert where is None or sql[len(start) : -len(end)] == where
    assert found == [*args, 1000]


@pytest.mark.parametrize(("query", "where", "args"), POSTGREST)
async def test_postgrest_filters_mean_this_sql(rest, query, where, args):
    query = query.replace("fts.a & b", "fts.a %26 b")  # not a separator

    reply = await rest.postgrest("GET", f"/orders?{query.replace(' ', '+')}")

    assert reply.status == 200, reply.body
    sql, found = rest.asked
    assert where is None or sql == f'SELECT * FROM "public"."orders" WHERE {where}'
    assert found == args


@pytest.mark.parametrize("query", UNPARSABLE)
async def test_native_queries_that_do_not_parse_are_400_and_ask_nothing(rest, query):
    reply = await rest.native("GET", f"/orders?{query}")

    assert reply.status == 400
    assert json.loads(reply.body)["code"] in {"INVALID_INPUT", "REQUEST_MALFORMED"}
    assert rest.answers.statements == []


@pytest.mark.parametrize("query", UNPARSABLE)
async def test_postgrest_queries_that_do_not_parse_are_400_and_ask_nothing(rest, query):
    reply = await rest.postgrest("GET", f"/orders?{query}")

    assert reply.status == 400
    assert json.loads(reply.body)["code"] in {"PGRST100", "REQUEST_MALFORMED"}
    assert rest.answers.statements == []


@pytest.mark.parametrize("operator", ["phfts", "match", "isdistinct", "st_", "any"])
async def test_operators_of_postgrest_alone_are_unknown_to_the_native_api(rest, operator):
    assert (await rest.native("GET", f"/orders?note={operator}.a")).status == 400


@pytest.mark.parametrize("operator", ["nin", "isnot", "vec_l2", "st_within"])
async def test_operators_of_the_native_api_alone_are_unknown_to_postgrest(rest, operator):
    reply = await rest.postgrest("GET", f"/orders?note={operator}.(a)")

    assert json.loads(reply.body)["code"] == "PGRST100"


@pytest.mark.parametrize("operator", ["st_within", "st_dwithin", "vec_cos"])
async def test_operators_of_extensions_are_refused_by_name(rest, operator):
    reply = await rest.native("GET", f"/orders?note={operator}.x")

    body = json.loads(reply.body)
    assert (reply.status, body["code"]) == (400, "FEATURE_NOT_SUPPORTED")
    assert operator in body["error"]


async def test_a_postgrest_parse_error_says_what_where_and_what_was_expected(rest):
    reply = await rest.postgrest("GET", "/orders?id=not.nope.5")

    body = json.loads(reply.body)
    assert body["message"] == '"failed to parse filter (not.nope.5)" (line 1, column 5)'
    assert body["details"].startswith('unexpected "nope" expecting operator (eq, ')
    assert body["hint"] is None


async def test_a_list_that_does_not_parse_says_so_from_a_remembered_shape_too(rest):
    await rest.postgrest("GET", "/orders?id=in.(1)")

    reply = await rest.postgrest("GET", "/orders?id=in.1")

    assert json.loads(reply.body)["message"] == '"failed to parse filter (in.1)" (line 1, column 4)'


async def test_unknown_columns_are_named_in_each_dialect(rest):
    native = await rest.native("GET", "/orders?nope=eq.1")
    postgrest = await rest.postgrest("GET", "/orders?nope=eq.1")

    assert (native.status, json.loads(native.body)["error"]) == (400, "Unknown column: nope")
    assert postgrest.status == 400
    assert json.loads(postgrest.body) == {
        "code": "42703",
        "message": "column orders.nope does not exist",
        "details": None,
        "hint": None,
    }


async def test_native_names_are_plain_identifiers(rest):
    reply = await rest.native("GET", "/orders?we-ird=eq.1")

    assert reply.status == 400


async def test_a_filter_on_a_relation_that_is_not_embedded_is_refused_by_name(rest):
    reply = await rest.postgrest("GET", "/orders?items.id=eq.1")

    body = json.loads(reply.body)
    assert body["code"] == "PGRST108"
    assert body["message"] == "'items' is not an embedded resource in this request"
    assert body["hint"] == "Verify that 'items' is included in the 'select' query parameter."


async def test_the_text_of_a_statement_does_not_depend_on_the_number_of_list_elements(rest):
    await rest.native("GET", "/orders?id=in.(1)")
    await rest.native("GET", "/orders?id=in.(1,2,3)")

    first, second = rest.answers.statements
    assert first.sql == second.sql
