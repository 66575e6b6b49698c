"""Operators that sqlglot models as functions are not taken for unknown functions."""

import pytest

from router.analysis.calls import calls_of
from router.analysis.functions import BUILT_IN, judge
from router.analysis.parse import parse

OPERATORS = "@> <@ && @@ -> ->> #> #>> ~ ~* !~ !~* ? ?| ?& @? -|- &< &> << >> || LIKE ILIKE".split()


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_of_postgresql_is_no_unknown_function(operator):
    assert calls_of(parse(f"SELECT a {operator} b FROM t")) == frozenset()


@pytest.mark.parametrize("text", ["a > ALL ($1)", "a = ANY ($1)", "CASE WHEN a THEN b END"])
def test_syntax_is_no_unknown_function(text):
    assert judge(calls_of(parse(f"SELECT {text} FROM t")), BUILT_IN, ("public",)).refused is None
