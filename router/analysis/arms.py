"""The queries that feed an insert: the arms of its set operations, with where each stands."""

from collections.abc import Iterator

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.grammar import is_values
from router.analysis.scopes import Region
from router.errors import UnsupportedAcrossShards

Arm = exp.Values | exp.Select


def arms_of(rows: exp.Expr | None) -> tuple[Arm, ...]:
    """The arms of what an insert inserts, in order.

    Raises:
        UnsupportedAcrossShards: It is nothing that is understood.
    """
    match rows:
        case exp.Values():
            return (rows,)
        case exp.Select() if is_values(rows):
            values: exp.Values = rows.args["from_"].this
            return (values,)
        case exp.Select():
            return (rows,)
        case exp.SetOperation():
            return (*arms_of(rows.this), *arms_of(rows.expression))
        case exp.Subquery() if not rows.args.get("joins"):
            return arms_of(rows.this)
        case _:
            raise UnsupportedAcrossShards("an insert of rows that are not understood")


def select_regions(tree: exp.Expr, regions: tuple[Region, ...]) -> dict[int, Region]:
    """The region of each SELECT that is no sub-select of an expression, by the node's id.

    The parser does not say where a SELECT stands. But WITH comes first, the left arm before the
    right one, and every SELECT of the text is in the tree: so they can be counted.
    """
    places = [region for region in regions if region.verb is TokenType.SELECT]
    return {
        id(select): places[number] for select, number in _numbered(tree, 0) if number < len(places)
    }


def _numbered(node: exp.Expr, first: int) -> Iterator[tuple[exp.Select, int]]:
    """Each SELECT of a statement with its number in the text; the first of them has `first`."""
    at = first
    with_ = node.args.get("with_")
    if with_ is not None:
        for cte in with_.expressions:
            yield from _numbered(cte.this, at)
            at += _count(cte)
    match node:
        case exp.Select() if not is_values(node):
            yield node, at
        case exp.SetOperation():
            yield from _numbered(node.this, at)
            yield from _numbered(node.expression, at + _count(node.this))
        case exp.Subquery():
            yield from _numbered(node.this, at)
        case exp.Insert() if isinstance(node.expression, exp.Expr):
            yield from _numbered(node.expression, at)
        case _:
            return


def _count(node: exp.Expr) -> int:
    return sum(not is_values(select) for select in node.find_all(exp.Select))
