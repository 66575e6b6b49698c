"""Joins of sharded tables whose rows are together: held to one tenant by what they are joined on.

Rows of one tenant are on one shard, so each shard can join its own, and no row is missed.
"""

from collections.abc import Iterator

from sqlglot import expressions as exp

from router.analysis.scopes import folded, quoted
from router.analysis.tables import Located


def are_together(tree: exp.Select, tables: tuple[Located, ...]) -> bool:
    """Whether all sharded tables of a statement stand in one FROM and are joined tenant by tenant.

    A sharded table comes first; each other one has, in its own ON (or for an inner join in WHERE),
    its tenant column equal to that of a sharded table before it. Reference tables are joined
    inner, or as the optional side.
    """
    by_node = {id(located.use.node): located for located in tables}
    from_ = tree.args.get("from_")
    first = by_node.get(id(from_.this)) if isinstance(from_, exp.From) else None
    joins = tree.args.get("joins") or ()
    if first is None or not is_key_exact(first) or len(joins) + 1 != len(tables):
        return False
    if first.use.node.args.get("joins") or tree.args.get("laterals"):
        return False
    where = tree.args.get("where")
    before = [first]
    for join in joins:
        located = by_node.get(id(join.this))
        side = (join.side or "").upper()
        if located is None or join.method or join.args.get("using") or side not in {"", "LEFT"}:
            return False
        if located.tenant_column is None:
            continue
        conditions = list(_flat(join.args.get("on")))
        if not side and where is not None:
            conditions += _flat(where.this)
        if not is_key_exact(located) or not any(
            _ties(condition, located, before) for condition in conditions
        ):
            return False
        before.append(located)
    return len(before) == sum(located.tenant_column is not None for located in tables)


def is_key_exact(located: Located) -> bool:
    """Whether equal keys are the same key: text in some collations is equal and is not."""
    column = located.tenant_column
    return (
        column is not None
        and located.table is not None
        and column in located.table.columns
        and located.table.columns[column].mergeable
    )


def _flat(node: exp.Expr | None) -> Iterator[exp.Expr]:
    if isinstance(node, exp.And):
        yield from _flat(node.this)
        yield from _flat(node.expression)
    elif isinstance(node, exp.Paren):
        yield from _flat(node.this)
    elif node is not None:
        yield node


def _ties(condition: exp.Expr, located: Located, before: list[Located]) -> bool:
    if not isinstance(condition, exp.EQ):
        return False
    left, right = condition.this, condition.expression
    return any(
        (_is_key(left, located) and _is_key(right, other))
        or (_is_key(right, located) and _is_key(left, other))
        for other in before
    )


def _is_key(node: exp.Expr, located: Located) -> bool:
    return (
        isinstance(node, exp.Column)
        and isinstance(node.this, exp.Identifier)
        and node.args.get("table") is not None
        and node.args.get("db") is None
        and folded(node.this) == located.tenant_column
        and quoted(folded(node.args["table"])) == located.use.alias
    )
