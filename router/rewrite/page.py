"""A page of one sharded table in an order that only PostgreSQL knows: limit + offset rows of each shard.

The rows of the page are among the first `limit + offset` of some shard, whatever the order is, so no
shard has to send more. The final statement, which is the original, sorts and cuts them.
"""

from collections.abc import Sequence
from typing import Final

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.scopes import Region, folded
from router.analysis.tables import Located
from router.rewrite.conjuncts import (
    columns_qualified,
    conjuncts,
    is_of_one_table,
    of_the_moment,
    parameters_numbered,
    spliced_part,
)
from router.rewrite.gather import MAX_BIGINT, bound_text
from router.rewrite.outputs import cut_at_commas, outputs
from router.rewrite.pull_up import ROW, Arguments, Fetch, relation_of
from router.rewrite.scalars import uncertain

_BARRED: Final = (
    "with_", "joins", "laterals", "windows", "locks", "into", "distinct", "group", "having",
)  # fmt: skip

_NODES: Final = (exp.Window, exp.WithinGroup, exp.Subquery, exp.Dot, exp.Unnest, exp.Exists)


def page(
    parsed: Parsed, region: Region, tables: tuple[Located, ...], arguments: Arguments
) -> Fetch | None:
    """The first rows of each shard; None: the statement is no page, or its order is not certain.

    `arguments` are the fetch's; they are used only if there is one.
    """
    tree = parsed.tree
    if not isinstance(tree, exp.Select) or len(tables) != 1:
        return None
    (located,) = tables
    if not _is_page(parsed, tree, located) or not _is_certain(parsed, region, tree, located):
        return None
    order = tree.args.get("order")
    terms: list[tuple[int, int, exp.Expr, str]] | None = []
    if order is not None:
        terms = _terms(parsed, region, tree, order, located)
    if terms is None:
        return None
    relation = relation_of(located)
    sql = f"SELECT ({ROW}.*)::{relation} AS c0 FROM {relation} AS {ROW}"
    where = region.clauses.get(TokenType.WHERE)
    if where is not None:
        condition = _text(parsed, where.content, where.end, tree.args["where"], arguments)
        sql += f" WHERE {condition.strip()}"
    if terms:
        texts = (
            f"{_text(parsed, start, end, node, arguments)} {suffix}".strip()
            for start, end, node, suffix in terms
        )
        sql += f" ORDER BY {', '.join(texts)}"
    wanted = f"({_bound(parsed, region, TokenType.LIMIT, arguments)})::bigint::numeric"
    if TokenType.OFFSET in region.clauses:
        skipped = _bound(parsed, region, TokenType.OFFSET, arguments)
        wanted += f" + coalesce(({skipped})::bigint::numeric, 0)"
    return Fetch(located.name, relation, f"{sql} LIMIT least({wanted}, {MAX_BIGINT})::bigint")


def _is_page(parsed: Parsed, tree: exp.Select, located: Located) -> bool:
    from_ = tree.args.get("from_")
    node = located.use.node
    limit = tree.args.get("limit")
    return (
        located.table is not None
        and located.tenant_column is not None
        and isinstance(from_, exp.From)
        and from_.this is node
        and not any(node.args.get(part) for part in ("joins", "only", "sample", "ordinality"))
        and not any(tree.args.get(part) for part in _BARRED)
        and isinstance(limit, exp.Limit)
        and limit.find(exp.Column) is None
        and tree.find(*_NODES) is None
        and sum(1 for _ in tree.find_all(exp.Select)) == 1
        and uncertain(parsed, (located,)) is None
    )


def _is_certain(parsed: Parsed, region: Region, tree: exp.Select, located: Located) -> bool:
    """Whether the condition can be decided, and decided alike, on a shard and at the end."""
    where = tree.args.get("where")
    order = tree.args.get("order")
    limit = region.clauses.get(TokenType.LIMIT)
    if limit is None or parsed.sql[limit.content : limit.end].strip().upper() == "ALL":
        return False
    if order is not None and of_the_moment(order):
        return False
    return where is None or (
        bool(conjuncts(parsed, region, where))
        and not of_the_moment(where)
        and is_of_one_table(where, located, (located,))
    )


def _terms(
    parsed: Parsed, region: Region, tree: exp.Select, order: exp.Expr, located: Located
) -> list[tuple[int, int, exp.Expr, str]] | None:
    """Each term of ORDER BY: the place of its expression in the text, its tree, what follows.

    A number or an output's name stands for the output's expression.
    """
    clause = region.clauses.get(TokenType.ORDER_BY)
    if clause is None:
        return None
    tokens = [token for token in parsed.tokens if clause.content <= token.start < clause.end]
    items = cut_at_commas(tokens)
    if len(items) != len(order.expressions) or not all(items):
        return None
    found = []
    for item, term in zip(items, order.expressions, strict=True):
        node: exp.Expr = term.this if isinstance(term, exp.Ordered) else term
        count = len(item) - _suffix(item)
        start, end = item[0].start, item[count - 1].end + 1
        suffix = parsed.sql[end : item[-1].end + 1]
        if count == 1 and (isinstance(node, exp.Literal) or _is_bare(node)):
            named = _named(parsed, region, tree, node)
            if named is None:
                return None
            start, end, node = named if named[2] is not node else (start, end, node)
        if not is_of_one_table(node, located, (located,)) or node.find(exp.Star) is not None:
            return None
        found.append((start, end, node, suffix))
    return found


def _suffix(item: Sequence[Token]) -> int:
    """How many words of direction and NULLs stand at the end of a term."""
    count = 0
    while count < len(item) - 1 and item[-1 - count].text.upper() in _DIRECTIONS:
        count += 1
    return count


_DIRECTIONS: Final = frozenset(
    {"ASC", "DESC", "NULLS", "FIRST", "LAST", "NULLS FIRST", "NULLS LAST"}
)


def _is_bare(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and node.args.get("table") is None


def _named(
    parsed: Parsed, region: Region, tree: exp.Select, node: exp.Expr
) -> tuple[int, int, exp.Expr] | None:
    """The output that a number or a name stands for, or the column itself; None: not certain."""
    items = outputs(parsed, region)
    if len(items) != len(tree.expressions):
        return None
    if isinstance(node, exp.Literal):
        at = int(node.this) - 1 if not node.is_string and str(node.this).isdecimal() else -1
        if not 0 <= at < len(items) or any(_has_star(each) for each in tree.expressions[: at + 1]):
            return None
        return _expression(items[at], tree.expressions[at])
    found = list(zip(items, tree.expressions, strict=True))
    if any(_is_called_anyhow(output) for _, output in found):
        return None
    matching = [pair for pair in found if _name(pair[1]) == folded(node.this)]
    if not matching:
        return 0, 0, node
    if len(matching) > 1 or any(_has_star(each) for each in tree.expressions):
        return None
    return _expression(*matching[0])


def _is_called_anyhow(output: exp.Expr) -> bool:
    """Whether the output's name may be that of a column or function in it."""
    return not isinstance(output, exp.Alias | exp.Column | exp.Star)


def _name(output: exp.Expr) -> str | None:
    if isinstance(output, exp.Alias):
        return folded(output.args["alias"])
    return None if _has_star(output) else folded(output.this)


def _expression(item: Sequence[Token], output: exp.Expr) -> tuple[int, int, exp.Expr] | None:
    """An output's expression without its alias."""
    if not isinstance(output, exp.Alias):
        return item[0].start, item[-1].end + 1, output
    end = len(item) - 1
    if end > 0 and item[end - 1].token_type is TokenType.ALIAS:
        end -= 1
    if end == 0 or item[-1].start != output.args["alias"].meta.get("start"):
        return None
    return item[0].start, item[end - 1].end + 1, output.this


def _has_star(output: exp.Expr) -> bool:
    return output.find(exp.Star) is not None


def _bound(parsed: Parsed, region: Region, kind: TokenType, arguments: Arguments) -> str:
    clause = region.clauses[kind]
    edits = parameters_numbered(parsed, clause.content, clause.end, arguments.number)
    return bound_text(spliced_part(parsed.sql, clause.content, clause.end, edits))


def _text(parsed: Parsed, start: int, end: int, node: exp.Expr, arguments: Arguments) -> str:
    """A part of the statement's text as it stands in the fetch."""
    edits = [
        *columns_qualified((node,), ROW),
        *parameters_numbered(parsed, start, end, arguments.number),
    ]
    return spliced_part(parsed.sql, start, end, edits)
