"""`fluxshard explain --offline`: statements checked against a planned map, without a database."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from router import declared_schema
from server.cli import main
from server.explaining.lines import Lines
from server.explaining.offline import map_of, offline_planning
from shardmap import KeyType, TableName, TenantId, write_yaml

TABLES = json.dumps(
    {
        "accounts": {"sharded": "id"},
        "orders": {"sharded": "account_id"},
        "countries": "reference",
        "settings": "global",
    }
)
MAP = map_of(4, TABLES, KeyType.INTEGER)
KEYS = ["id", "access", "route", "shards", "tenant_keys", "combine", "refusal"]


def run(*options, text=None):
    return CliRunner().invoke(main, ["explain", *options], input=text)


def offline(*options, text=None):
    return run("--offline", "--shards", "4", "--tables", TABLES, *options, text=text)


def batch(*lines):
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    result = offline("--json", "--batch", "-", text=text)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def explained(sql, **asked):
    status, (answer,) = batch({"id": 1, "sql": sql, **asked})
    assert status == 0
    return answer


def test_an_answer_has_exactly_the_keys_of_the_interface():
    assert list(explained("SELECT 1")) == KEYS


def test_a_key_leads_to_the_shard_of_its_tenant():
    answer = explained("SELECT * FROM accounts WHERE id = $1", params=[7])

    assert answer["access"] == "read"
    assert answer["route"] == "one"
    assert answer["shards"] == [MAP.owner(TenantId("7"))]
    assert answer["tenant_keys"] == ["7"]


def test_several_keys_lead_to_some_shards():
    answer = explained("SELECT * FROM orders WHERE account_id IN (1, 2, 3, 4, 5, 6)")

    assert answer["route"] == "some"
    assert answer["shards"] == sorted({MAP.owner(TenantId(str(key))) for key in range(1, 7)})
    assert answer["tenant_keys"] == ["1", "2", "3", "4", "5", "6"]


def test_no_key_leads_to_every_shard_and_the_order_is_merged_without_a_schema():
    answer = explained("SELECT * FROM orders ORDER BY note DESC LIMIT 3")

    assert answer["route"] == "every"
    assert answer["shards"] == ["shard_0", "shard_1", "shard_2", "shard_3"]
    assert answer["combine"] == "merge by k0 desc nulls first, take 3"


def test_a_tenant_in_context_is_the_key_of_its_statement():
    answer = explained("UPDATE orders SET note = 'x'", tenant="7")

    assert answer["access"] == "write"
    assert answer["route"] == "one"
    assert answer["tenant_keys"] == ["7"]


def test_reference_tables_are_anywhere_and_global_ones_in_the_catalog():
    assert explained("SELECT * FROM countries", tenant=7)["route"] == "any"
    assert explained("SELECT * FROM settings")["shards"] == ["catalog"]


def test_a_bare_key_beside_tables_of_unknown_columns_is_the_sharded_tables():
    copied = "INSERT INTO orders (account_id, id) SELECT account_id, c.x FROM orders {} JOIN countries c {}"

    own = explained(copied.format("", "ON c.code = orders.code"), tenant=7)
    shared = explained(copied.format("LEFT", "USING (account_id)"), tenant=7)

    assert (own["access"], own["tenant_keys"]) == ("write", ["7"])
    assert shared["refusal"]["code"] == "P102"


def test_an_unknown_function_makes_a_write():
    assert explained("SELECT surprise()")["access"] == "write"


def test_a_refusal_is_an_answer_with_code_message_and_hint():
    answer = explained("SELECT * FROM nowhere")

    assert answer["access"] == "refused"
    assert answer["route"] is None
    assert answer["shards"] == []
    assert answer["refusal"]["code"] == "P103"
    assert answer["refusal"]["message"]
    assert answer["refusal"]["hint"]


def test_a_tenant_that_is_no_key_is_refused():
    assert explained("SELECT * FROM orders", tenant="x")["refusal"]["code"] == "P105"


def test_answers_come_in_the_order_of_the_lines_and_a_bad_line_answers_for_itself():
    status, answers = batch(
        {"id": "a", "sql": "SELECT 1"},
        "nonsense",
        {"id": "b", "sql": 5},
        "",
        {"id": "c", "sql": ""},
    )

    assert status == 1
    assert [answer["id"] for answer in answers] == ["a", None, "b", None, "c"]
    assert ["error" in answer for answer in answers] == [False, True, True, True, False]
    assert answers[1]["line"] == 2
    assert answers[1]["error"]["code"] == "INVALID_INPUT"


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        '"x"',
        "[" * 9999,
        '{"id":1}',
        '{"sql":"SELECT 1","params":{}}',
        '{"sql":"SELECT 1","params":[NaN]}',
        '{"sql":"SELECT 1","tenant":[1]}',
        '{"sql":"SELECT 1","tenant":true}',
    ],
)
def test_a_line_of_another_form_is_an_error_of_its_own(line):
    status, (answer,) = batch(line)

    assert status == 1
    assert answer["error"]["message"]


def test_the_same_map_as_a_file_gives_the_same_answer(tmp_path):
    file = tmp_path / "map.yaml"
    file.write_text(write_yaml(MAP))
    sql = "SELECT * FROM accounts WHERE id = 7"

    by_file = run("--offline", "--map", str(file), "--json", sql)
    by_tables = offline("--json", sql)

    assert json.loads(by_file.stdout)["shards"] == json.loads(by_tables.stdout)["shards"]


def test_one_statement_is_explained_for_people():
    result = offline("--tenant", "9", "--param", "x", "SELECT * FROM orders WHERE note = $1")

    assert result.exit_code == 0
    assert "route     one: " in result.stdout
    assert "the tenant in context" in result.stdout
    assert "$1 = x  (argument 1 of the statement)" in result.stdout


def test_a_refusal_is_explained_for_people():
    result = offline("SELECT * FROM nowhere")

    assert result.exit_code == 0
    assert result.stdout.startswith("refused   P103: the shard map has no placement")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--offline", "SELECT 1"),
        ("--offline", "--shards", "2", "--tables", "{", "SELECT 1"),
        ("--offline", "--shards", "2", "--tables", '{"a": "everywhere"}', "SELECT 1"),
        ("--offline", "--shards", "2", "--tables", "[]", "SELECT 1"),
        ("--shards", "2", "SELECT 1"),
    ],
)
def test_wrong_usage_ends_with_2(options):
    assert run(*options).exit_code == 2


def test_a_placement_may_also_be_written_as_an_object():
    options = ("--offline", "--shards", "2", "--tables", '{"a": {"reference": true}}')

    assert json.loads(run(*options, "--json", "SELECT * FROM a").stdout)["route"] == "any"


DDL = r"""
\restrict something
SET statement_timeout = 0;
CREATE TABLE public.orders (
    account_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    note text COLLATE "de_DE",
    total numeric(10, 2) DEFAULT 0,
    tags text[],
    at timestamptz DEFAULT now()
);
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$;
ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (account_id, id);
CREATE UNIQUE INDEX by_total ON public.orders USING btree (account_id, total);
CREATE UNIQUE INDEX partial ON public.orders (account_id) WHERE total > 0;
ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY;
CREATE VIEW big AS SELECT account_id, id AS number, total * 2 AS twice FROM orders;
GRANT SELECT ON orders TO authenticated;
"""


def test_declarations_are_read_as_the_catalogs_would_have_them():
    schema = declared_schema(DDL)
    orders = schema.tables[TableName("public.orders")]

    assert {name: column.type for name, column in orders.columns.items()} == {
        "account_id": "int8",
        "id": "int8",
        "note": "text",
        "total": "numeric",
        "tags": "text[]",
        "at": "timestamptz",
    }
    assert orders.primary_key == ("account_id", "id")
    assert orders.uniques == (("account_id", "total"),)
    assert orders.rls
    assert orders.computed_defaults
    assert orders.columns["account_id"].not_null
    assert orders.columns["id"].generated
    assert not orders.columns["note"].mergeable
    assert orders.columns["total"].mergeable
    assert list(schema.tables[TableName("public.big")].columns) == ["account_id", "number", "twice"]


def test_declarations_decide_what_can_be_merged(tmp_path):
    file = tmp_path / "schema.sql"
    file.write_text(DDL)

    def combined(column):
        sql = f"SELECT id FROM orders ORDER BY {column}"
        return json.loads(offline("--schema", str(file), "--json", sql).stdout)["combine"]

    assert combined("total") == "merge by k0 asc nulls last"


def test_declarations_that_do_not_parse_end_with_2(tmp_path):
    file = tmp_path / "schema.sql"
    file.write_text("CREATE TABLE orders (id bigint")

    assert offline("--schema", str(file), "SELECT 1").exit_code == 2


LINES = Lines(offline_planning(MAP, None), KeyType.INTEGER)
WORDS = st.sampled_from(
    "SELECT * FROM accounts orders countries settings WHERE id = $1 $2 ( ) , ' \" 7 AND OR NOT IN "
    "UPDATE SET DELETE INSERT INTO VALUES ORDER BY LIMIT UNION WITH x AS JOIN ON ; $$ -- /* */ NULL "
    "GROUP HAVING count(*) sum( OVER RETURNING :: int [ ] . account_id MERGE EXPLAIN COPY U& e' \\".split()
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "id": st.one_of(st.none(), st.integers(), st.text()),
            "sql": st.one_of(st.lists(WORDS, max_size=24).map(" ".join), st.text()),
        },
        optional={
            "params": st.lists(
                st.recursive(
                    st.one_of(
                        st.none(),
                        st.integers(),
                        st.floats(allow_nan=False, allow_infinity=False),
                        st.text(),
                    ),
                    st.lists,
                    max_leaves=4,
                )
            ),
            "tenant": st.one_of(st.none(), st.integers(), st.text()),
        },
    )
)
def test_whatever_a_line_holds_it_has_one_answer_and_nothing_crashes(asked):
    (answer,) = [json.loads(line) for line in LINES.answers([json.dumps(asked).encode()])]

    assert answer["id"] == asked["id"]
    assert answer.get("error", {}).get("code") != "INTERNAL_ERROR", answer


@settings(max_examples=100, deadline=None)
@given(st.binary())
def test_whatever_bytes_a_line_is_made_of_it_has_one_answer(line):
    assert len(list(LINES.answers([line]))) == 1


BARE = """
CREATE TABLE lines (w_id int NOT NULL, l_item int, PRIMARY KEY (w_id));
CREATE TABLE stock (s_w_id int NOT NULL, s_item int, PRIMARY KEY (s_w_id));
"""


@pytest.mark.parametrize(
    ("sql", "route"),
    [
        ("SELECT s_item FROM lines JOIN stock ON s_w_id = w_id WHERE w_id = 7", "one"),
        ("SELECT s_item FROM lines, stock WHERE w_id = s_w_id AND s_w_id = 7", "one"),
        ("SELECT s_item FROM lines JOIN stock ON s_item = l_item WHERE w_id = 7", "every"),
        ("SELECT s_item FROM lines RIGHT JOIN stock ON s_w_id = w_id WHERE w_id = 7", "every"),
        ("SELECT s_item FROM lines JOIN stock ON s_w_id = w_id OR true WHERE w_id = 7", "every"),
    ],
)
def test_bare_columns_carry_the_key_where_only_one_table_has_them(tmp_path, sql, route):
    file = tmp_path / "schema.sql"
    file.write_text(BARE)
    tables = json.dumps({"lines": {"sharded": "w_id"}, "stock": {"sharded": "s_w_id"}})

    result = run(
        *("--offline", "--shards", "4", "--tables", tables, "--schema", str(file), "--json", sql)
    )

    assert json.loads(result.stdout)["route"] == route
