"""The tenant predicate, put where the text names a sharded table."""

from collections.abc import Iterable, Iterator

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.scopes import Region, TableUse, Use, quoted
from router.errors import UnsupportedAcrossShards
from router.rewrite.splice import Edit, insertion
from shardmap import KeyType

_CASTS = {KeyType.INTEGER: "::text::int8", KeyType.UUID: "::text::uuid", KeyType.TEXT: "::text"}

_AFTER_WHERE = (
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.WINDOW,
    TokenType.ORDER_BY,
    TokenType.LIMIT,
    TokenType.OFFSET,
    TokenType.FETCH,
    TokenType.FOR,
    TokenType.RETURNING,
)


def tenant_value(key_type: KeyType, param: int) -> str:
    """The SQL of the tenant in context: argument `param`, counted from 0, sent as text."""
    return f"${param + 1}{_CASTS[key_type]}"


def predicate_edits(
    uses: Iterable[tuple[TableUse, str]], value: str, condition: str = "{} = {}"
) -> Iterator[Edit]:
    """Edits that leave, of each (table, tenant column), only the rows of tenant `value`.

    `condition` is what holds between the column and the value.

    A table that WHERE can filter gets a predicate there; one on the far side of an outer join is
    replaced by a filtered sub-select under the same name.
    """
    by_region: dict[int, tuple[Region, list[str]]] = {}
    for use, column in uses:
        if use.use is Use.INSERT:
            continue
        if use.inner:
            _, predicates = by_region.setdefault(use.region.start, (use.region, []))
            predicates.append(condition.format(f"{use.alias}.{quoted(column)}", value))
        else:
            yield from _filtered(use, condition.format(quoted(column), value))
    for region, predicates in by_region.values():
        yield from _where(region, " AND ".join(predicates))


def _where(region: Region, predicate: str) -> Iterator[Edit]:
    """A MERGE has no WHERE: rows that ON does not match are not touched."""
    merges = region.verb is TokenType.MERGE
    clause = region.clauses.get(TokenType.ON if merges else TokenType.WHERE)
    if clause is not None:
        yield insertion(clause.content, " (")
        yield insertion(clause.end, f") AND {predicate}")
    else:
        yield insertion(where_end(region), f" WHERE {predicate}")


def where_end(region: Region) -> int:
    """The offset behind the last token that stands before GROUP BY and what follows it."""
    following = [region.clauses[kind] for kind in _AFTER_WHERE if kind in region.clauses]
    return min(following, key=lambda clause: clause.start).before if following else region.end


def _filtered(use: TableUse, predicate: str) -> Iterator[Edit]:
    node = use.node
    alias = node.args.get("alias")
    if node.args.get("only") or node.args.get("sample") or node.args.get("joins"):
        raise UnsupportedAcrossShards(
            "ONLY, TABLESAMPLE or a parenthesised join of a sharded table"
        )
    first: exp.Expr = node.args.get("db") or node.this
    start, end = first.meta["start"], node.this.meta["end"] + 1
    name = f"{quoted(use.schema)}." if use.schema is not None else ""
    text = f"(SELECT * FROM {name}{quoted(use.relation)} WHERE {predicate})"
    yield Edit(start, end, text if alias is not None else f"{text} AS {use.alias}")
