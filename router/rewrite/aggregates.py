"""Aggregates in two steps: what each shard computes of its rows, and what is made of that.

The results have the types and digits of PostgreSQL's own: sums of integers are exact, `avg` is the
sum divided by the count with the division that `avg` itself uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.rewrite.scalars import AGGREGATES
from router.rewrite.types import type_of
from router.schema import Table


@dataclass(frozen=True, slots=True)
class Part:
    """One partial aggregate: `before`, the text [start, end) of the statement, `after`."""

    type: str
    before: str
    start: int
    end: int
    after: str
    node: exp.Expr
    """The tree of what stands between."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An aggregate at [start, end) of the text: its parts, and how they are put together.

    `form` holds {0} and {1} for the columns of parts. No parts: it stays as it is, over rows of
    which each may stand for several.
    """

    start: int
    end: int
    parts: tuple[Part, ...] = ()
    form: str = ""

    def combined(self, columns: Sequence[str]) -> str:
        """The text in place of the aggregate."""
        return self.form.format(*columns)


_NAMES: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Count: frozenset({"count"}),
    exp.Sum: frozenset({"sum"}),
    exp.Avg: frozenset({"avg"}),
    exp.Min: frozenset({"min"}),
    exp.Max: frozenset({"max"}),
    exp.LogicalAnd: frozenset({"bool_and", "every"}),
    exp.LogicalOr: frozenset({"bool_or"}),
    exp.BitwiseAndAgg: frozenset({"bit_and"}),
    exp.BitwiseOrAgg: frozenset({"bit_or"}),
}

_SUMS: Final = {
    "int2": "int8",
    "int4": "int8",
    "int8": "numeric",
    "numeric": "numeric",
    "float4": "float4",
    "float8": "float8",
    "interval": "interval",
}
"""What `sum` gives, by the type of its argument."""

_IDEMPOTENT: Final = frozenset({"min", "max", "bit_and", "bit_or"})

_COMPARED: Final = frozenset(
    """
    int2 int4 int8 numeric float4 float8 date time timestamp timestamptz interval money oid
    """.split()
)
"""Types that `min` and `max` give back as they are."""


def all_named(parsed: Parsed, aggregates: Sequence[exp.AggFunc]) -> bool:
    """Whether the text calls just these aggregates, as its tokens say."""
    called = {
        token.start
        for token, following in pairwise(parsed.tokens)
        if following.token_type is TokenType.L_PAREN and token.text.lower() in AGGREGATES
    }
    return called == {node.meta.get("start") for node in aggregates}


def part_of(parsed: Parsed, node: exp.AggFunc, table: Table) -> Whole | None:
    """How one aggregate is computed in two steps; None: it is not known."""
    name = parsed.sql[node.meta["start"] : node.meta["end"] + 1].lower()
    if name not in _NAMES.get(type(node), ()) or node.find(exp.Order, exp.Limit) is not None:
        return None
    if any(inner is not node for inner in node.find_all(exp.AggFunc)):
        return None
    span = _span(parsed, node)
    if span is None:
        return None
    start, opening, end = span
    argument = node.this
    if isinstance(argument, exp.Distinct):
        return Whole(start, end)
    if node.expressions or not isinstance(argument, exp.Expr):
        return None
    scope: exp.Expr = node.parent if isinstance(node.parent, exp.Filter) else node
    kind = type_of(argument, table)
    if name == "avg":
        averaged = kind is not None and kind in _SUMS and kind != "float4"
        return _average(start, opening, end, kind, scope) if averaged and kind else None
    result = _result(name, kind)
    if result is None:  # how often a value is there does not matter to some
        return Whole(start, end) if name in _IDEMPOTENT else None
    form = f"pg_catalog.{name}({{0}})"
    if name == "count":
        form = "coalesce(pg_catalog.sum({0}), 0)::int8"
    elif name == "sum" and result == "int8":
        form += "::int8"
    return Whole(start, end, (Part(result, name, opening, end, "", scope),), form)


def _result(name: str, kind: str | None) -> str | None:
    """The type of an aggregate's result over an argument of a type; None: not known."""
    match name:
        case "count":
            return "int8"
        case "sum":
            return _SUMS.get(kind or "")
        case "min" | "max":
            return kind if kind in _COMPARED else None
        case "bit_and" | "bit_or":
            return kind if kind in {"int2", "int4", "int8"} else None
        case _:
            return "bool"


def _average(start: int, opening: int, end: int, kind: str, scope: exp.Expr) -> Whole:
    """The sum and the count. Of floats and intervals PostgreSQL divides by a float."""
    inexact = kind in {"float8", "interval"}
    total = Part(
        kind if inexact else "numeric", "sum", opening, end, "" if inexact else "::numeric", scope
    )
    number = Part("int8", "count", opening, end, "", scope)
    divisor = "nullif(pg_catalog.sum({1}), 0)" + ("::float8" if inexact else "")
    return Whole(start, end, (total, number), f"(pg_catalog.sum({{0}}) / {divisor})")


def _span(parsed: Parsed, node: exp.AggFunc) -> tuple[int, int, int] | None:
    """Where the call begins, opens, and ends with its FILTER."""
    tokens = parsed.tokens
    at = next((i for i, token in enumerate(tokens) if token.start == node.meta["start"]), None)
    if at is None or tokens[at].token_type is TokenType.IDENTIFIER:
        return None
    closing = _closing(tokens, at + 1)
    if closing is None or (at > 0 and tokens[at - 1].token_type is TokenType.DOT):
        return None
    end = closing
    if isinstance(node.parent, exp.Filter):
        if tokens[closing + 1].text.lower() != "filter":
            return None
        last = _closing(tokens, closing + 2)
        if last is None:
            return None
        end = last
    return tokens[at].start, tokens[at + 1].start, tokens[end].end + 1


def _closing(tokens: Sequence[Token], opening: int) -> int | None:
    """The index of the parenthesis that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].token_type is TokenType.L_PAREN:
            depth += 1
        elif tokens[index].token_type is TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                return index
        if depth == 0:
            return None
    return None
