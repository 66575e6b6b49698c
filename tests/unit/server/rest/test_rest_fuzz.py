"""Whatever a client sends, the REST API gives a documented answer: never an exception, never 5xx."""

import asyncio
import json
import string
from urllib.parse import quote

import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import JsonRows, Result

OPERATORS = """eq neq gt gte lt lte like ilike in is nin isnot cs cd ov fts plfts phfts wfts sl sr nxr
nxl adj match imatch isdistinct st_within vec_l2 not and or bogus""".split()
COLUMNS = [
    "id",
    "note",
    "data->a->>b",
    "data->0",
    "tags",
    "raw->x",
    "nope",
    '"id"',
    "a.b",
    "",
    "we ird",
]
KEYS = [
    "select",
    "order",
    "limit",
    "offset",
    "count",
    "or",
    "and",
    "not.or",
    "columns",
    "on_conflict",
]
KEYS += ["cursor", "group_by", "truncate", "cursor_column"]
PIECES = [
    *"(){}[],.:*\"'\\-> %+&=",
    "->>",
    "::",
    "not.",
    "or(",
    "and(",
    "null",
    "1",
    "abc",
    "é",
    "%00",
]

GOOD_COLUMNS = ["id", "note", "total", "data->a->>b", "data->0", "tags", "raw->x", "mood", "period"]
GOOD_OPERATIONS = """eq.5 neq.x gt.1 gte.1.5 lt.a lte.%% like.a* ilike.%a% in.(1,2) in.("a,b",c) is.null
is.true cs.{a,b} cd.{} ov.{"x y"} fts.cat plfts.a wfts.b sl.[1,5) sr.(1,2] nxr.[1,2] nxl.[1,2] adj.[1,2]
not.eq.5 not.in.(1) not.is.null not.fts.x match.^a imatch.b isdistinct.3 nin.(1,2) isnot.null
fts(english).x like(any).{a*,b} eq(all).{1,2} cs.(x,y) cs.["x"] phfts(foo).y""".split()
GOOD_SINGLE = [
    ("select", "id,note"),
    ("select", "*"),
    ("select", "id, note , data->a->>b"),
    ("select", "n:note,total::text,data->0"),
    ("order", "id.desc"),
    ("order", "note.asc.nullslast,data->a.desc"),
    ("limit", "5"),
    ("offset", "2"),
    ("count", "exact"),
    ("truncate", "3"),
]

texts = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([*PIECES, *OPERATORS, *COLUMNS]), max_size=12).map("".join),
)
wild_operations = st.builds(
    lambda negated, operator, modifier, value: f"{negated}{operator}{modifier}.{value}",
    st.sampled_from(["", "not."]),
    st.sampled_from(OPERATORS),
    st.sampled_from(["", "(any)", "(all)", "(english)", "(x y)", "("]),
    st.one_of(texts, st.sampled_from(["(1,2)", '("a,b",c)', "{a,b}", "null", "5", "[1,2)", "a*"])),
)


def groups_of(columns, operations):
    return st.recursive(
        st.builds(lambda column, operation: f"{column}.{operation}", columns, operations),
        lambda inner: st.builds(
            lambda word, items: f"{word}({','.join(items)})",
            st.sampled_from(["or", "and", "not.or", "not.and"]),
            st.lists(inner, min_size=1, max_size=4),
        ),
        max_leaves=6,
    ).map(lambda item: f"({item})")


def pairs_of(columns, operations, singles):
    return st.one_of(
        st.tuples(columns, operations),
        st.tuples(st.sampled_from(["or", "and", "not.or"]), groups_of(columns, operations)),
        singles,
    )


good = st.lists(
    pairs_of(
        st.sampled_from(GOOD_COLUMNS),
        st.sampled_from(GOOD_OPERATIONS),
        st.sampled_from(GOOD_SINGLE),
    ),
    max_size=3,
)
wild = st.lists(
    pairs_of(
        st.one_of(st.sampled_from(COLUMNS), texts),
        wild_operations,
        st.tuples(st.sampled_from(KEYS), texts),
    ),
    max_size=3,
)


def _mutated(query, position, piece):
    position %= len(query) + 1
    return query[:position] + piece + query[position + len(piece) % 2 :]


encoders = st.sampled_from(
    [lambda text: quote(text, safe=""), lambda text: quote(text, safe='()*,.:->{}[]"')]
)


def encoded(items):
    return st.builds(
        lambda found, encode: "&".join(f"{encode(name)}={encode(value)}" for name, value in found),
        items,
        encoders,
    )


good_queries = encoded(good)
queries = st.one_of(
    good_queries,
    st.builds(_mutated, good_queries, st.integers(0, 200), st.sampled_from([*PIECES, ""])),
    encoded(wild),
)
raw_queries = st.one_of(queries, st.text(alphabet=string.printable[:-6] + "é", max_size=40))

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["id", "note", "tags", "x"]), inner),
    ),
    max_leaves=8,
)
rows = st.dictionaries(
    st.sampled_from(["id", "note", "tags", "data", "mood"]), json_values, max_size=3
)
bodies = st.one_of(
    st.binary(max_size=40),
    json_values.map(lambda value: json.dumps(value).encode(errors="surrogatepass")),
    rows.map(lambda row: json.dumps(row).encode()),
    st.lists(rows, max_size=3).map(lambda found: json.dumps(found).encode()),
    st.sampled_from(
        [b"", b"[", b"{}", b"[]", b"[{}]", b"[{},{}]", b'{"id":NaN}', b"[" * 2000, b"\xff"]
    ),
    st.builds(lambda n: b"[" * n + b"]" * n, st.integers(60, 70)),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Prefer": st.one_of(
            texts,
            st.lists(
                st.sampled_from(
                    """return=representation return=minimal return=headers-only count=exact
                    resolution=merge-duplicates resolution=ignore-duplicates missing=default
                    handling=strict tx=rollback max-affected=1 timezone=UTC""".split()
                )
            ).map(",".join),
        ),
        "Accept": st.one_of(
            texts,
            st.sampled_from(
                ["*/*", "text/csv", "application/vnd.pgrst.object+json", "text/html, */*;q=0.8"]
            ),
        ),
        "Content_Type": st.sampled_from(
            ["application/json", "text/csv", "application/x-www-form-urlencoded", "image/png"]
        ),
        "Range": st.one_of(texts, st.from_regex(r"\A[0-9]{1,25}-[0-9]{0,3}\Z")),
        "Accept_Profile": st.sampled_from(["public", "public", "app", "hidden", "é"]),
        "Content_Profile": st.sampled_from(["public", "public", "app", "hidden"]),
    },
)
PATHS = """/orders /orders /orders /orders /public/orders /orders/5 /orders/5 /orders/query /logs/1
/public/orders/5 /open_orders /app/things /hidden/secrets /rpc/f /%ff /orders/ /""".split()
paths = st.one_of(
    st.sampled_from(["", *PATHS]), st.sampled_from(PATHS), texts.map(lambda text: f"/{quote(text)}")
)
methods = st.sampled_from(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"])
results = st.sampled_from([Result(0), Result(1, body='[{"id":"1"}]', total=1), Result(2, total=9)])


def _is_plain(value):
    return (
        value is None
        or isinstance(value, str | int | JsonRows)
        or (
            isinstance(value, list) and all(item is None or isinstance(item, str) for item in value)
        )
    )


cases = st.fixed_dictionaries(
    {
        "method": methods,
        "path": paths,
        "query": raw_queries,
        "body": bodies,
        "headers": headers,
        "result": results,
    }
)

HARD = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("dialect", ["native", "postgrest"])
@HARD
@given(case=cases)
def test_any_request_gets_a_reply_below_500(make, dialect, case):
    rest = make()
    rest.answers.result = case["result"]
    if "text/csv" in case["headers"].get("Accept", ""):
        rest.answers.result = Result(0, total=0)
    ask = getattr(rest, dialect)
    url = f"{case['path']}?{case['query']}"

    reply = asyncio.run(ask(case["method"], url, case["body"], **case["headers"]))

    assert 200 <= reply.status < 500
    for statement in rest.answers.statements:
        assert all(_is_plain(arg) for arg in statement.args)


@pytest.mark.parametrize("dialect", ["native", "postgrest"])
@HARD
@given(query=queries)
def test_every_read_that_is_built_is_one_select_from_the_table_alone(make, dialect, query):
    rest = make()
    ask = getattr(rest, dialect)

    asyncio.run(ask("GET", f"/orders?{query}"))

    for statement in rest.answers.statements:
        (tree,) = sqlglot.parse(statement.sql, dialect="postgres")
        assert isinstance(tree, sqlglot.exp.Select)
        assert [table.sql("postgres") for table in tree.find_all(sqlglot.exp.Table)] == [
            '"public"."orders"'
        ]
        numbers = {int(p.name) for p in tree.find_all(sqlglot.exp.Parameter)}
        assert numbers == set(range(1, len(statement.args) + 1))


@pytest.mark.parametrize("dialect", ["native", "postgrest"])
@HARD
@given(query=queries)
def test_a_remembered_shape_gives_the_same_answer_as_parsing(make, dialect, query):
    rest = make()
    ask = getattr(rest, dialect)

    replies = [asyncio.run(ask("GET", f"/orders?{query}")) for _ in range(2)]

    assert replies[0] == replies[1]
    assert rest.answers.statements[:1] == rest.answers.statements[1:]
