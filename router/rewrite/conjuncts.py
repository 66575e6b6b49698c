"""The conditions that WHERE joins by AND: each with its place in the text, and whose rows it filters."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.analysis.functions import ROWS_MAKING, functions_of
from router.analysis.parse import Parsed, parse
from router.analysis.scopes import Region, folded, quoted
from router.analysis.tables import Located
from router.errors import QueryRefused
from router.rewrite.splice import Edit, splice

_OF_THE_MOMENT: Final = (
    exp.CurrentDate,
    exp.CurrentTime,
    exp.CurrentTimestamp,
    exp.Localtime,
    exp.Localtimestamp,
)
_MOMENTS: Final = frozenset({"now", "age", "transaction_timestamp", "statement_timestamp"})
_WORDS_OF_THE_MOMENT: Final = frozenset({"now", "today", "tomorrow", "yesterday"})


@dataclass(frozen=True, slots=True)
class Conjunct:
    """One condition: its tree, and the characters [start, end) of the statement's text."""

    node: exp.Expr
    start: int
    end: int


def conjuncts(parsed: Parsed, region: Region, where: exp.Expr) -> tuple[Conjunct, ...]:
    """The conditions of a WHERE clause; none when their places are not known for certain.

    The text is cut at each AND that stands by itself; each piece, parsed alone, must give the
    condition that the whole tree has there.
    """
    clause = region.clauses.get(TokenType.WHERE)
    nodes = list(_flat(where.this))
    if clause is None:
        return ()
    tokens = [token for token in parsed.tokens if clause.content <= token.start < clause.end]
    pieces = list(_pieces(tokens)) if len(nodes) > 1 else [tokens]
    if len(pieces) != len(nodes) or not all(pieces):
        return ()
    found = []
    for node, piece in zip(nodes, pieces, strict=True):
        start, end = piece[0].start, piece[-1].end + 1
        if not _reads_as(parsed.sql[start:end], node):
            return ()
        found.append(Conjunct(node, start, end))
    return tuple(found)


def _flat(node: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(node, exp.And):
        yield from _flat(node.this)
        yield from _flat(node.expression)
    else:
        yield node


def _pieces(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """The tokens between the ANDs that stand in no parenthesis, no CASE and no BETWEEN."""
    piece: list[Token] = []
    depth = cases = ranges = 0
    for token in tokens:
        match token.token_type:
            case TokenType.L_PAREN | TokenType.L_BRACKET:
                depth += 1
            case TokenType.R_PAREN | TokenType.R_BRACKET:
                depth -= 1
            case TokenType.CASE:
                cases += 1
            case TokenType.END:
                cases -= 1
            case TokenType.BETWEEN if depth == cases == 0:
                ranges += 1
            case TokenType.AND if depth == cases == 0 and ranges:
                ranges -= 1
            case TokenType.AND if depth == cases == 0:
                yield piece
                piece = []
                continue
        piece.append(token)
    yield piece


def _reads_as(text: str, node: exp.Expr) -> bool:
    try:
        tree = parse(f"SELECT 1 WHERE {text}").tree
    except QueryRefused:
        return False
    where = tree.args.get("where")
    return isinstance(where, exp.Where) and where.this == node


def filters_only(conjunct: Conjunct, located: Located, tables: Iterable[Located]) -> bool:
    """Whether a condition can be decided from one row of the table, on any server, at any time.

    True says: no sub-select, no other table's column, nothing that depends on the clock.
    """
    node = conjunct.node
    if node.find(exp.Query, exp.Exists, exp.AggFunc, exp.Window, exp.Star, exp.Dot) is not None:
        return False
    return not of_the_moment(node) and is_of_one_table(node, located, tables)


def is_of_one_table(node: exp.Expr, located: Located, tables: Iterable[Located]) -> bool:
    """Whether every column of the expression is certainly one of this mention of the table."""
    if functions_of(node) & ROWS_MAKING:
        return False
    bare = has_bare_columns(located, tables)
    return all(_is_own(column, located, bare=bare) for column in node.find_all(exp.Column))


def has_bare_columns(located: Located, tables: Iterable[Located]) -> bool:
    """Whether a name without a table, where it is a column of this one, cannot mean another's.

    All other sources of the same FROM must be known tables without such a name; which is asked
    of all names at once.
    """
    owner = located.use.node.find_ancestor(exp.Select)
    own = located.table
    if owner is None or own is None:
        return False
    nodes = [source for source in _sources(owner) if source is not located.use.node]
    known = {id(other.use.node): other for other in tables}
    for node in nodes:
        other = known.get(id(node))
        if other is None or other.table is None:
            return False
        alias = node.args.get("alias")
        if alias is not None and alias.args.get("columns"):
            return False
        if set(other.table.columns) & set(own.columns):
            return False
    return True


def _sources(owner: exp.Select) -> Iterator[exp.Expr]:
    from_ = owner.args.get("from_")
    if from_ is not None:
        yield from_.this
        yield from (join.this for join in from_.this.args.get("joins") or ())
    yield from (join.this for join in owner.args.get("joins") or ())
    yield from owner.args.get("laterals") or ()


def _is_own(column: exp.Column, located: Located, *, bare: bool) -> bool:
    if located.table is None or not isinstance(column.this, exp.Identifier):
        return False
    if column.args.get("db") is not None or folded(column.this) not in located.table.columns:
        return False
    qualifier = column.args.get("table")
    return bare if qualifier is None else quoted(folded(qualifier)) == located.use.alias


def of_the_moment(node: exp.Expr) -> bool:
    """Whether the expression depends on when, or by whose clock, it is evaluated."""
    return (
        node.find(*_OF_THE_MOMENT) is not None
        or bool(functions_of(node) & _MOMENTS)
        or any(
            literal.is_string and str(literal.this).strip().lower() in _WORDS_OF_THE_MOMENT
            for literal in node.find_all(exp.Literal)
        )
    )


def columns_qualified(nodes: Iterable[exp.Expr], name: str) -> Iterator[Edit]:
    """Edits that qualify each column of expressions of the text by `name`, which is quoted."""
    for node in nodes:
        for column in node.find_all(exp.Column):
            first: exp.Expr = column.args.get("table") or column.this
            text = f"{name}.{quoted(folded(column.this))}"
            yield Edit(first.meta["start"], column.this.meta["end"] + 1, text)


def parameters_numbered(
    parsed: Parsed, start: int, end: int, number: Callable[[int], int]
) -> Iterator[Edit]:
    """Edits that give each `$n` between two offsets the number that `number` says."""
    for token, following in pairwise(parsed.tokens):
        if (
            start <= token.start < end
            and token.token_type is TokenType.PARAMETER
            and following.token_type is TokenType.NUMBER
        ):
            new = number(int(following.text))
            yield Edit(token.start, following.end + 1, f"${new}")


def spliced_part(sql: str, start: int, end: int, edits: Iterable[Edit]) -> str:
    """The characters [start, end) of the text with those of the edits made that lie there."""
    inside = [
        Edit(edit.start - start, edit.end - start, edit.text)
        for edit in edits
        if start <= edit.start and edit.end <= end
    ]
    return splice(sql[start:end], inside)
