"""Operators that sqlglot models as functions are not taken for unknown functions."""

import pytest
import sqlglot

from router.functions import HARMLESS, functions_of

OPERATORS = "@> <@ && @@ -> ->> #> #>> ~ ~* !~ !~* ? ?| ?& @? -|- &< &> << >> || LIKE ILIKE".split()


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_of_postgresql_is_no_unknown_function(operator):
    tree = sqlglot.parse_one(f"SELECT a {operator} b FROM t", dialect="postgres")

    assert functions_of(tree) <= HARMLESS


@pytest.mark.parametrize("text", ["a > ALL ($1)", "a = ANY ($1)", "CASE WHEN a THEN b END"])
def test_syntax_is_no_unknown_function(text):
    tree = sqlglot.parse_one(f"SELECT {text} FROM t", dialect="postgres")

    assert functions_of(tree) <= HARMLESS
