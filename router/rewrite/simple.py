"""Statements that are one SELECT over one sharded table, with functions of PostgreSQL's own."""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.tables import Located
from router.rewrite.scalars import AGGREGATES, uncertain
from router.schema import Table

_BARRED: Final = ("with_", "joins", "laterals", "windows", "locks", "into")

_NODES: Final = (exp.Window, exp.WithinGroup, exp.Subquery, exp.Dot, exp.Unnest, exp.Exists)


def simple_select(
    parsed: Parsed, tables: tuple[Located, ...]
) -> tuple[exp.Select, Located, Table] | None:
    """The SELECT, its one table and what is known of that; None: it is another statement."""
    tree = parsed.tree
    if not isinstance(tree, exp.Select) or len(tables) != 1:
        return None
    (located,) = tables
    table = located.table
    if table is None or located.tenant_column is None or not _is_simple(parsed, tree, located):
        return None
    return tree, located, table


def _is_simple(parsed: Parsed, tree: exp.Select, located: Located) -> bool:
    from_ = tree.args.get("from_")
    node = located.use.node
    return (
        isinstance(from_, exp.From)
        and from_.this is node
        and not any(node.args.get(part) for part in ("joins", "only", "sample", "ordinality"))
        and not any(tree.args.get(part) for part in _BARRED)
        and tree.find(*_NODES) is None
        and sum(1 for _ in tree.find_all(exp.Select)) == 1
        and uncertain(parsed, (located,), AGGREGATES) is None
    )
