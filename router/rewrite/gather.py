"""The statement as each of several shards gets it: ordered, cut to limit + offset, keys added."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.functions import ROWS_MAKING as _ROWS_MADE
from router.analysis.functions import functions_of
from router.analysis.parse import Parsed
from router.analysis.query import Constant, Param, SortKey, Source
from router.analysis.scopes import Clause, Region, folded, quoted
from router.analysis.system_columns import system_column
from router.analysis.tables import Located
from router.analysis.tenant_keys import source_of
from router.errors import UnsupportedAcrossShards
from router.rewrite.scalars import ROWS_MAKING, uncertain
from router.rewrite.splice import Edit, insertion, splice
from router.rewrite.together import are_together
from router.schema import Column
from router.statement import WHOLE_ROWS
from shardmap import KeyType

MAX_BIGINT: Final = 2**63 - 1

_ROWS: Final = re.compile(r"\s+rows?$", re.IGNORECASE)
"""The noise word in OFFSET 2 ROWS."""

_CONSTRUCTS: Final = {
    "with_": "WITH",
    "distinct": "DISTINCT",
    "group": "GROUP BY",
    "having": "HAVING",
    "windows": "WINDOW",
    "locks": "FOR UPDATE or FOR SHARE",
    "into": "INTO",
}


@dataclass(frozen=True, slots=True)
class _Term:
    """One term of ORDER BY, resolved to a column."""

    expression: str
    key: str
    order: SortKey


@dataclass(frozen=True, slots=True)
class Gatherable:
    """What a gather needs beside the text: its order and its bounds."""

    terms: tuple[_Term, ...]
    limit: Source | None
    offset: Source | None

    @property
    def sort(self) -> tuple[SortKey, ...]:
        """The order of the merge."""
        return tuple(term.order for term in self.terms)


def gatherable(parsed: Parsed, tables: tuple[Located, ...]) -> Gatherable:
    """Whether several shards can answer a SELECT together, and how.

    Raises:
        UnsupportedAcrossShards: They cannot; names the construct.
    """
    tree = parsed.tree
    if not isinstance(tree, exp.Select):
        raise UnsupportedAcrossShards("a set operation")
    for name, construct in _CONSTRUCTS.items():
        if tree.args.get(name):
            raise UnsupportedAcrossShards(construct)
    if (column := system_column(parsed.nodes)) is not None:
        raise UnsupportedAcrossShards(f"the system column {column}")
    for node in (*parsed.nodes.of(exp.AggFunc), *parsed.nodes.of(exp.Window)):
        name = node.sql_name().lower() if isinstance(node, exp.AggFunc) else "a window function"
        raise UnsupportedAcrossShards(name)
    _refuse_functions(parsed, tree, tables)
    _refuse_nesting(tree, tables)
    limit = tree.args.get("limit")
    if limit is not None and not isinstance(limit, exp.Limit):
        raise UnsupportedAcrossShards("FETCH FIRST", hint="Use LIMIT.")
    order = tree.args.get("order")
    terms = tuple(_term(term, tree, tables) for term in (order.expressions if order else ()))
    return Gatherable(terms, _bound(limit, "LIMIT"), _bound(tree.args.get("offset"), "OFFSET"))


def _refuse_functions(parsed: Parsed, tree: exp.Select, tables: tuple[Located, ...]) -> None:
    """No aggregates, nor what may be some, and no rows made in the select list."""
    name = uncertain(parsed, tables, ROWS_MAKING)
    if name is not None:
        raise UnsupportedAcrossShards(name)
    for projection in tree.expressions if parsed.nodes.have(exp.Func) else ():
        if projection.find(exp.Unnest) is not None or functions_of(projection) & (
            ROWS_MAKING | _ROWS_MADE
        ):
            raise UnsupportedAcrossShards("a function that makes rows, in the select list,")


def _refuse_nesting(tree: exp.Select, tables: tuple[Located, ...]) -> None:
    """One sharded table, in the outermost FROM, on no side that an outer join fills with NULLs.

    Otherwise a shard's answer depends on rows that it does not have, or counts reference rows
    once for each shard.
    """
    sharded = [located for located in tables if located.tenant_column is not None]
    if len(sharded) > 1 and are_together(tree, tables):
        sharded = []
    if len(sharded) > 1:
        raise UnsupportedAcrossShards("a join or sub-select of several sharded tables")
    for located in sharded:
        if located.use.node.find_ancestor(exp.Select) is not tree:
            raise UnsupportedAcrossShards("a sub-select over a sharded table")
        if not located.use.inner:
            raise UnsupportedAcrossShards("an outer join to a sharded table")
    if tree.args.get("joins") and any(isinstance(item, exp.Star) for item in tree.expressions):
        raise UnsupportedAcrossShards("SELECT * over a join", hint="Name the columns.")


def _bound(node: exp.Expr | None, construct: str) -> Source | None:
    if node is None:
        return None
    value = node.expression
    if isinstance(value, exp.Null) or (
        isinstance(value, exp.Column) and value.name.upper() == "ALL"
    ):
        return None
    source = source_of(value, KeyType.INTEGER)
    if not isinstance(source, Param | Constant):
        raise UnsupportedAcrossShards(f"{construct} with an expression")
    return source


def _term(ordered: exp.Expr, tree: exp.Select, tables: tuple[Located, ...]) -> _Term:
    value: exp.Expr = ordered.this if isinstance(ordered, exp.Ordered) else ordered
    value = _output(value, tree)
    if not isinstance(value, exp.Column) or isinstance(value.this, exp.Star):
        raise UnsupportedAcrossShards("ORDER BY with an expression", hint="Order by a column.")
    alias, column = _resolve(value, tables)
    if not column.mergeable:
        raise UnsupportedAcrossShards(
            f"ORDER BY {column.name} (type {column.type} or its collation)",
            hint="Order by a number, a date, a boolean, a uuid, or text in collation C.",
        )
    descending = bool(ordered.args.get("desc"))
    nulls_first = bool(ordered.args.get("nulls_first"))
    expression = f"{alias}.{quoted(column.name)}"
    return _Term(expression, _key(expression, column), SortKey(descending, nulls_first))


def _output(value: exp.Expr, tree: exp.Select) -> exp.Expr:
    """The projection that an ordinal or an output name stands for; a bare name prefers those."""
    if isinstance(value, exp.Literal) and not value.is_string:
        index = int(value.this) - 1 if str(value.this).isdecimal() else -1
        if not 0 <= index < len(tree.expressions):
            raise UnsupportedAcrossShards("ORDER BY with an expression")
        if any(_is_star(before) for before in tree.expressions[: index + 1]):
            raise UnsupportedAcrossShards(
                "ORDER BY with a number behind *", hint="Order by the column's name."
            )
        projection = tree.expressions[index]
        return _unaliased(projection)
    if isinstance(value, exp.Column) and value.args.get("table") is None:
        return _named(value, folded(value.this), tree)
    return value


def _named(value: exp.Column, name: str, tree: exp.Select) -> exp.Expr:
    """The one projection of that output name, else the column itself."""
    found: list[exp.Expr] = []
    for projection in tree.expressions:
        if isinstance(projection, exp.Alias):
            if folded(projection.args["alias"]) == name:
                found.append(_unaliased(projection))
        elif not isinstance(projection, exp.Column | exp.Star):
            # its implicit name can be that of a column or function in it
            raise UnsupportedAcrossShards(
                "ORDER BY beside an expression without a name", hint="Give it a name with AS."
            )
        elif not _is_star(projection) and folded(projection.this) == name:
            found.append(projection)
    others = any(_is_star(projection) for projection in tree.expressions)
    if len(found) > 1 or (found and others and not _is_called(found[0], name)):
        raise UnsupportedAcrossShards(f"ORDER BY {name}, which several outputs are called,")
    return found[0] if found else value


def _is_called(value: exp.Expr, name: str) -> bool:
    return isinstance(value, exp.Column) and folded(value.this) == name


def _is_star(projection: exp.Expr) -> bool:
    return isinstance(projection, exp.Star) or (
        isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star)
    )


def _unaliased(projection: exp.Expr) -> exp.Expr:
    inner = projection.this if isinstance(projection, exp.Alias) else projection
    if not isinstance(inner, exp.Expr):
        raise UnsupportedAcrossShards("ORDER BY with an expression")
    return inner


def _resolve(value: exp.Column, tables: tuple[Located, ...]) -> tuple[str, Column]:
    name = folded(value.this)
    qualifier = quoted(folded(value.args["table"])) if value.args.get("table") else None
    found = [
        (located.use.alias, located.table.columns[name])
        for located in tables
        if located.table is not None
        and name in located.table.columns
        and qualifier in {None, located.use.alias}
    ]
    renamed = any(
        located.use.node.args["alias"].args.get("columns")
        for located in tables
        if located.use.node.args.get("alias") is not None
    )
    if len(found) != 1 or renamed:
        raise UnsupportedAcrossShards(f"ORDER BY {name}, which is not one known column,")
    return found[0]


def _key(expression: str, column: Column) -> str:
    """The column in a form that orders the same in PostgreSQL and in Python."""
    match column.category:
        case "D":  # dates and times: microseconds, with infinity kept
            return f"(extract(epoch from {expression}) * 1000000)::numeric"
        case "S":
            return f"{expression}::text"
        case _:
            return expression


def gather_rows(parsed: Parsed, region: Region, form: Gatherable, edits: Iterable[Edit]) -> str:
    """The text for each shard: the statement's own rows, with the sort keys behind them."""
    _, tail = _select_list(parsed, region)
    changes = [*edits, *_order(region, form), *_bounds(parsed, region)]
    changes.append(insertion(tail, _key_columns(form)))
    return splice(parsed.body, changes)


def gather_json_rows(
    parsed: Parsed, region: Region, form: Gatherable, edits: Iterable[Edit], *, source: str
) -> str:
    """The text for each shard: the JSON text of each row, with the sort keys behind it.

    `source` is the alias a bare `*` stands for.
    """
    changes = [*_json_edits(parsed, region, form, source), *edits, *_bounds(parsed, region)]
    return splice(parsed.body, changes)


def gather_json_page(
    parsed: Parsed, region: Region, form: Gatherable, edits: Iterable[Edit], *, source: str
) -> str | None:
    """`gather_json_rows` for pages of no more than `WHOLE_ROWS` rows; None: it is the same text.

    PostgreSQL takes an unknown LIMIT for a tenth of all rows, so a plan for any value seems so
    expensive to it that it plans anew for each, which costs more than a small page. Below a bound
    that it knows, it keeps the plan.
    """
    if not any(isinstance(bound, Param) for bound in (form.limit, form.offset)):
        return None
    limit = region.clauses.get(TokenType.LIMIT)
    if limit is None:
        return None
    found = tuple(_bounds(parsed, region))
    wanted = found[0] if found else Edit(limit.start, limit.end, f"LIMIT {_text(parsed, limit)}")
    changes = [
        *_json_edits(parsed, region, form, source),
        *edits,
        Edit(wanted.start, wanted.end, f"LIMIT {WHOLE_ROWS}"),
    ]
    return f"SELECT * FROM ({splice(parsed.body, changes)}) AS b {wanted.text}"


def _json_edits(parsed: Parsed, region: Region, form: Gatherable, source: str) -> Iterable[Edit]:
    head, tail = _select_list(parsed, region)
    yield insertion(head, " (SELECT to_json(r.*)::text FROM (SELECT")
    yield from _stars(parsed, head, tail, source)
    yield insertion(tail, f") AS r) AS j{_key_columns(form)}")
    yield from _order(region, form)


def _key_columns(form: Gatherable) -> str:
    return "".join(f", {term.key} AS k{index}" for index, term in enumerate(form.terms))


def _select_list(parsed: Parsed, region: Region) -> tuple[int, int]:
    from_ = region.clauses.get(TokenType.FROM)
    end = from_.start if from_ is not None else region.end
    last = max(
        (token.end + 1 for token in parsed.tokens if region.body <= token.start < end),
        default=region.body,
    )
    return region.body, last


def _stars(parsed: Parsed, head: int, tail: int, source: str) -> Iterable[Edit]:
    """A bare `*` has no meaning without FROM: name what it stands for."""
    previous = None
    depth = 0
    for token in parsed.tokens:
        if head <= token.start < tail:
            if token.token_type is TokenType.L_PAREN:
                depth += 1
            elif token.token_type is TokenType.R_PAREN:
                depth -= 1
            elif (
                token.token_type is TokenType.STAR
                and depth == 0
                and (previous is None or previous.token_type in {TokenType.COMMA, TokenType.SELECT})
            ):
                yield Edit(token.start, token.end + 1, f"{source}.*")
        previous = token


def _order(region: Region, form: Gatherable) -> Iterable[Edit]:
    clause = region.clauses.get(TokenType.ORDER_BY)
    if clause is None:
        return
    terms = ", ".join(
        f"{term.expression} {'DESC' if term.order.descending else 'ASC'}"
        f" NULLS {'FIRST' if term.order.nulls_first else 'LAST'}"
        for term in form.terms
    )
    yield Edit(clause.content, clause.end, f" {terms}")


def _bounds(parsed: Parsed, region: Region) -> Iterable[Edit]:
    """LIMIT and OFFSET become one LIMIT of their sum; OFFSET alone becomes no limit."""
    limit = region.clauses.get(TokenType.LIMIT)
    offset = region.clauses.get(TokenType.OFFSET)
    if offset is None:
        return
    skipped = f"({_text(parsed, offset)})::bigint::numeric"
    if limit is None:
        yield Edit(offset.start, offset.end, f"LIMIT ({skipped} + NULL)::bigint")
        return
    start, end = min(limit.start, offset.start), max(limit.end, offset.end)
    wanted = f"({_text(parsed, limit)})::bigint::numeric + coalesce({skipped}, 0)"
    yield Edit(start, end, f"LIMIT least({wanted}, {MAX_BIGINT})::bigint")


def _text(parsed: Parsed, clause: Clause) -> str:
    return bound_text(parsed.sql[clause.content : clause.end])


def bound_text(text: str) -> str:
    """A bound without the noise word of OFFSET."""
    return _ROWS.sub("", text.strip())
