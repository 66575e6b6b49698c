"""Groups that each have rows of one tenant only: no two shards have parts of one.

GROUP BY and DISTINCT that name the tenant key make such groups. Every shard computes its own to the
end, with any aggregate, and the answer is what all of them give.
"""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.scopes import folded, quoted
from router.analysis.system_columns import system_column
from router.analysis.tables import Located
from router.rewrite.simple import simple_select
from router.rewrite.together import is_key_exact

_BARRED: Final = ("order", "limit", "offset")
"""They say something of all groups together."""

_SETS: Final = ("grouping_sets", "cube", "rollup", "totals", "all")
"""Groups of fewer columns, that may lack the key."""


def groups_are_whole(parsed: Parsed, tables: tuple[Located, ...]) -> bool:
    """Whether the rows of the answer are those that the shards give, each for itself."""
    tree = parsed.tree
    if not isinstance(tree, exp.Select) or any(tree.args.get(part) for part in _BARRED):
        return False
    group, distinct = tree.args.get("group"), tree.args.get("distinct")
    if group is None and (distinct is None or tree.find(exp.AggFunc) or tree.args.get("having")):
        return False
    simple = simple_select(parsed, tables)
    if simple is None or system_column(parsed.nodes) is not None:
        return False
    _, located, _ = simple
    return (
        is_key_exact(located)
        and (group is None or _has_key(group, tree, located))
        and (distinct is None or _shows_key(distinct, tree, located))
    )


def _has_key(group: exp.Expr, tree: exp.Select, located: Located) -> bool:
    if any(group.args.get(part) for part in _SETS):
        return False
    return any(_is_key(_meant(term, tree), located) for term in group.expressions)


def _meant(term: exp.Expr, tree: exp.Select) -> exp.Expr | None:
    """A term of GROUP BY, or the output whose number it is. A name means a column before outputs."""
    if not isinstance(term, exp.Literal) or term.is_string or not str(term.this).isdecimal():
        return term
    outputs = tree.expressions[: int(term.this)]
    if not outputs or len(outputs) < int(term.this) or any(map(_is_star, outputs)):
        return None
    return _unaliased(outputs[-1])


def _shows_key(distinct: exp.Expr, tree: exp.Select, located: Located) -> bool:
    if distinct.args.get("on") is not None:
        return False
    return any(
        _is_star(output) or _is_key(_unaliased(output), located) for output in tree.expressions
    )


def _is_star(output: exp.Expr) -> bool:
    """All columns of the one table there is."""
    return isinstance(output, exp.Star) or (
        isinstance(output, exp.Column) and isinstance(output.this, exp.Star)
    )


def _unaliased(output: exp.Expr) -> exp.Expr:
    found: exp.Expr = output.this if isinstance(output, exp.Alias) else output
    return found


def _is_key(node: exp.Expr | None, located: Located) -> bool:
    return (
        isinstance(node, exp.Column)
        and isinstance(node.this, exp.Identifier)
        and node.args.get("db") is None
        and folded(node.this) == located.tenant_column
        and (
            node.args.get("table") is None
            or quoted(folded(node.args["table"])) == located.use.alias
        )
    )
