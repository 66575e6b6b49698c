"""EXPLAIN is taken off only where PostgreSQL reads it as the first word."""

import pytest

from router import RouterError
from router.analysis.parse import parse
from router.analysis.prefix import explain_prefix


@pytest.mark.parametrize(
    ("sql", "text", "runs"),
    [
        ("EXPLAIN SELECT 1", "EXPLAIN ", False),
        ("explain\nverbose SELECT 1", "explain\nverbose ", False),
        ("-- x\nEXPLAIN /* y */ ANALYZE VERBOSE SELECT 1", None, True),
        ("EXPLAIN (analyze, format json) SELECT 1", "EXPLAIN (analyze, format json) ", True),
        ("EXPLAIN(ANALYZE off)SELECT 1", "EXPLAIN(ANALYZE off)", False),
    ],
)
def test_the_prefix_ends_where_the_statement_begins(sql, text, runs):
    found = explain_prefix(sql)

    assert found is not None
    assert found.runs is runs
    assert sql[len(found.text) :] == "SELECT 1"
    assert text is None or found.text == text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 -- EXPLAIN ",
        "EXPLAINED SELECT 1",
        "\u3000EXPLAIN SELECT 1",  # a letter to PostgreSQL
        "-- a comment ends at a carriage return\rDELETE FROM orders --\nEXPLAIN SELECT 1",
        "/* /* */ EXPLAIN */ SELECT 1",
    ],
)
def test_what_is_no_explain_to_postgresql_is_none_here(sql):
    found = explain_prefix(sql)

    assert found is None or "DELETE" not in found.text
    assert found is None


@pytest.mark.parametrize("options", ["foo", "analyze, analyze('x')", "format json x", "", "a-b"])
def test_options_that_are_not_known_are_refused(options):
    with pytest.raises(RouterError):
        parse(f"EXPLAIN ({options}) SELECT 1")
