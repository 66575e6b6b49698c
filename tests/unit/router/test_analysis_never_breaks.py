import importlib.util
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from router import Form, RouterError
from router.analysis.analyse import Ask, Caller, analyse
from router.analysis.grammar import MAX_NESTING
from router.analysis.parse import parse
from router.analysis.query import Target
from router.analysis.scoping import Setting
from router.rewrite.splice import Edit, insertion, splice
from shardmap import KeyType

_spec = importlib.util.spec_from_file_location(
    "analysis_world", Path(__file__).parents[2] / "plans" / "world.py"
)
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

SETTING = Setting(world.SCHEMA, world.MAP.placement, KeyType.INTEGER, "test")
WORDS = st.sampled_from(
    "SELECT FROM WHERE orders items countries o i AS AND OR NOT ( ) , * = IN ANY $1 $2 1 'x' \"id\""
    " tenant_id id note JOIN LEFT ON USING UNION ALL WITH INSERT INTO VALUES UPDATE SET DELETE"
    " RETURNING ORDER BY LIMIT OFFSET GROUP HAVING EXISTS CASE WHEN THEN END IS NULL DISTINCT ;"
    " -- /* */ $$ :: int lower( count(*) FOR ONLY DEFAULT CONFLICT DO NOTHING".split(" ")
)


@settings(max_examples=400, deadline=None)
@given(words=st.lists(WORDS, max_size=25), scoped=st.booleans(), service=st.booleans())
def test_any_heap_of_words_is_analysed_or_refused_by_name(words, scoped, service):
    ask = Ask(" ".join(words), Form.JSON, counted=False)

    try:
        query = analyse(ask, Caller(scoped, service), SETTING)
    except RouterError as refusal:
        assert refusal.code != "P000"  # noqa: PT017 - one of two outcomes
    else:
        assert service or scoped or query.target is not Target.SHARDED


def golden_statements():
    for path in sorted((Path(__file__).parents[2] / "plans").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            yield case["query"]["sql"].split(" ")


GOLDEN = list(golden_statements())


@st.composite
def mutants(draw):
    """A golden statement with some words left out, doubled, exchanged or put in."""
    words = list(draw(st.sampled_from(GOLDEN)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(words) - 1)))
        cut = draw(st.integers(0, 2))
        words[at : at + cut] = draw(st.lists(WORDS, max_size=2))
    return " ".join(words)


@settings(max_examples=400, deadline=None)
@given(sql=mutants(), scoped=st.booleans(), service=st.booleans())
def test_any_statement_gone_wrong_is_analysed_or_refused_by_name(sql, scoped, service):
    try:
        analyse(Ask(sql, Form.JSON, counted=True), Caller(scoped, service), SETTING)
    except RouterError as refusal:
        assert refusal.code != "P000"  # noqa: PT017 - one of two outcomes


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_analysed_or_refused_by_name(text):
    try:
        analyse(Ask(text, Form.ROWS, counted=False), Caller(scoped=True, service=False), SETTING)
    except RouterError as refusal:
        assert refusal.code != "P000"  # noqa: PT017 - one of two outcomes


def test_nesting_has_a_bound_that_is_named():
    deep = "SELECT " + "(" * (MAX_NESTING + 1) + "1" + ")" * (MAX_NESTING + 1)

    with pytest.raises(RouterError, match="nests deeper than 64"):
        parse(deep)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT $1,$2",
        "SELECT '$1,$2', $1,$2",
        'SELECT "$1,$2", $1,$2',
        "SELECT $$ $1,$2 $$, $1,$2",
        "SELECT $tag$ $1,$2 $$ $tag$, $1,$2",
        "SELECT $1,$2 -- $1,$2",
        "SELECT /* $1,$2 */ $1,$2",
        r"SELECT E'\'$1,$2', $1,$2",
        "SELECT 'it''s $1,$2', $1,$2",
    ],
)
def test_two_parameters_beside_each_other_are_two_parameters(sql):
    parsed = parse(sql)

    numbers = [node.this.this for node in parsed.tree.find_all(exp.Parameter)]
    assert numbers == ["1", "2"]
    assert parsed.sql.replace("$1 ,$2 ", "$1,$2") == sql


def test_splicing_keeps_everything_else_as_it_was():
    assert splice("ab", [insertion(1, "1"), insertion(1, "2"), insertion(2, "3")]) == "a12b3"


def test_edits_that_overlap_are_a_defect_and_not_a_statement():
    with pytest.raises(AssertionError):
        splice("abc", [Edit(0, 2, "x"), Edit(1, 3, "y")])
