"""Literals are cut out of texts only where analysis cannot depend on their value."""

import importlib.util
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import Deadline, Form, QueryContext, RouterError, Statement
from router.analysis.analyse import Ask, Caller, analyse
from router.analysis.analyses import Analyses
from router.analysis.literals import shape_of
from router.analysis.scoping import Setting
from shardmap import KeyType, TenantId

_spec = importlib.util.spec_from_file_location(
    "plans_world", Path(__file__).parents[2] / "plans" / "world.py"
)
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

SETTING = Setting(world.SCHEMA, world.MAP.placement, KeyType.INTEGER, "test")
SERVICE = QueryContext("service_role", None, "s", "{}", Deadline.after(60))
TENANT = QueryContext("authenticated", TenantId("7"), "s", "{}", Deadline.after(60))


def cut(sql):
    shape = shape_of(sql)
    return [] if shape is None else [sql[start:end] for start, end in shape.spans]


@pytest.mark.parametrize(
    ("sql", "literals"),
    [
        ("SELECT * FROM o WHERE id = 42 AND note = 'x''y'", ["42", "'x''y'"]),
        ("SELECT * FROM o WHERE id IN (1, 2, 3) AND total >= 5", ["1, 2, 3", "5"]),
        ("SELECT * FROM o WHERE note LIKE 'a%' OR note <> 'b'", ["'a%'", "'b'"]),
        ("INSERT INTO o (id, note) VALUES (1, 'x'), (2, f('y'))", ["1", "'x'", "2"]),
        ("UPDATE o SET note = 'z' WHERE id = 1", ["'z'", "1"]),
        ("SELECT * FROM o WHERE id = /* of = 7 */ 42 -- = 8", ["42"]),
    ],
)
def test_operands_of_comparisons_lists_and_rows_are_cut_out(sql, literals):
    assert cut(sql) == literals


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1, 'a' FROM o ORDER BY 1 LIMIT 5 OFFSET 3",
        "SELECT * FROM o WHERE at > '2024-01-01'::date",
        "SELECT * FROM o WHERE id = 1 + 1",
        "SELECT * FROM o WHERE id = -1",
        "SELECT * FROM o WHERE note = E'a\\'b'",
        "SELECT * FROM o WHERE note = $$a = 'b'$$",
        "SELECT * FROM o WHERE note = 'a\\' OR id < 'x",
        "SELECT * FROM o WHERE note = 'a'\n'b'",
        "SELECT data -> 'a' ->> 'b' FROM o",
        "SELECT * FROM o WHERE id BETWEEN 1 AND 2",
        "SELECT * FROM o WHERE total = 1.5e3",
        "SELECT * FROM o WHERE data @> '{}' AND id = $1",
        'SELECT * FROM o WHERE "a = 1"',
    ],
)
def test_whatever_else_stays_in_the_shape(sql):
    assert cut(sql) == []


def test_lists_of_any_length_have_one_shape():
    keys = {
        shape_of(f"SELECT id FROM orders WHERE id IN ({items})").key
        for items in ("1", "1, 2", "1,2 , 3")
    }

    assert len(keys) == 1


def test_strings_and_numbers_have_different_shapes():
    assert (
        shape_of("SELECT id FROM orders WHERE id = '1'").key
        != shape_of("SELECT id FROM orders WHERE id = 1").key
    )


def test_the_third_text_of_a_shape_is_not_analysed_and_keeps_its_own_literals():
    analyses = Analyses()
    for number in (1, 2, 3, 33):
        sql = f"SELECT note FROM orders WHERE tenant_id = {number} AND note = 'n{number}' LIMIT 5"
        query = analyses.query(Statement(sql), SERVICE, SETTING)

        assert query == analyse(Ask(sql, Form.ROWS, counted=False), Caller(False, True), SETTING)

    assert (analyses.counts.misses, analyses.counts.shapes, analyses.counts.texts) == (2, 2, 0)


def test_the_same_text_is_found_by_text():
    analyses = Analyses()
    for _ in range(3):
        analyses.query(Statement("SELECT note FROM orders WHERE tenant_id = 1"), SERVICE, SETTING)

    assert (analyses.counts.misses, analyses.counts.texts) == (1, 2)


def test_refusals_are_made_of_the_text_at_hand():
    analyses = Analyses()
    for number in (1, 2, 3):
        with pytest.raises(RouterError):
            analyses.query(
                Statement(f"SELECT pg_sleep(9) FROM orders WHERE id = {number}"), TENANT, SETTING
            )

    assert analyses.counts.shapes == 0


TEXTS = [
    "SELECT id, note FROM orders WHERE tenant_id = {i} AND note = {s} ORDER BY id LIMIT 7",
    "SELECT id FROM orders WHERE tenant_id IN ({i}, {i}) OR tenant_id = {i}",
    "SELECT id FROM orders AS o WHERE (o.tenant_id = {i} AND total > {i}) OR o.tenant_id = {s}",
    "SELECT count(*) FROM orders WHERE tenant_id = {i} AND note IN ({s}, {s}, {s})",
    "INSERT INTO orders (tenant_id, id, note) VALUES ({i}, {i}, {s}), ({i}, {i}, {s})",
    "INSERT INTO orders (id, note) VALUES ({i}, {s}) RETURNING *",
    "UPDATE orders SET note = {s}, total = {i} WHERE tenant_id = {i} AND id = {i}",
    "UPDATE orders SET tenant_id = {i} WHERE id = {i}",
    "DELETE FROM orders WHERE tenant_id = {s} AND note LIKE {s}",
    """SELECT o.id FROM orders o JOIN items i ON i.order_id = o.id AND i.tenant_id = {i}
    WHERE o.tenant_id = {i}""",
    "SELECT id FROM orders WHERE id IN (SELECT order_id FROM items WHERE tenant_id = {i})",
]
STRINGS = st.text(alphabet="a'é\\;-$ 7%\n", max_size=5).map(
    lambda text: "'" + text.replace("'", "''") + "'"
)


def without_last_spaces(query):
    """A space behind a text, which the parser needs behind some literals, says nothing."""
    return re.sub(r" +([\"'],)", r"\1", repr(query))


@settings(max_examples=150, deadline=None)
@given(
    text=st.sampled_from(TEXTS),
    tenant=st.booleans(),
    form=st.sampled_from(Form),
    data=st.data(),
)
def test_a_template_gives_what_the_texts_own_analysis_gives(text, tenant, form, data):
    analyses, context = Analyses(), TENANT if tenant else SERVICE
    for _ in range(4):
        pieces = text.split("{")
        sql = pieces[0] + "".join(
            (data.draw(STRINGS) if piece[0] == "s" else str(data.draw(st.integers(0, 99))))
            + piece[2:]
            for piece in pieces[1:]
        )
        ask, caller = Ask(sql, form, counted=False), Caller(tenant, not tenant)
        try:
            found = analyses.query(Statement(sql, (), form), context, SETTING)
        except RouterError as error:
            with pytest.raises(type(error)):
                analyse(ask, caller, SETTING)
        else:
            own = analyse(ask, caller, SETTING)
            assert str(found.gather_refusal) == str(own.gather_refusal)
            assert without_last_spaces(found) == without_last_spaces(own)


def test_long_texts_are_not_kept():
    analyses = Analyses()
    sql = "SELECT id FROM orders WHERE note = '" + "x" * 9000 + "'"
    for _ in range(3):
        analyses.query(Statement(sql), TENANT, SETTING)

    assert (analyses.counts.misses, analyses.counts.texts, analyses.counts.shapes) == (3, 0, 0)
