"""What the parser may have read: only the parts of PostgreSQL's grammar that analysis knows.

sqlglot reads many dialects at once: `orders semi JOIN items` is a semi-join to it, and a table
under the alias `semi` to PostgreSQL. Whatever analysis does not know is refused, so that it never
reasons about a statement other than the one that runs.
"""

import re
from typing import Final

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.errors import StatementNotUnderstood

_PARTS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    kind: frozenset(parts.split())
    for kind, parts in {
        exp.Select: "with_ expressions distinct into from_ joins laterals where group having"
        " windows order limit offset locks",
        exp.SetOperation: "with_ this expression distinct order limit offset locks",
        exp.Subquery: "this alias with_ joins order limit offset locks",
        exp.Table: "this alias db catalog joins ordinality only rows_from sample",
        exp.Join: "this on side kind using method",
        exp.Lateral: "this alias ordinality",
        exp.Values: "expressions alias order limit offset",
        exp.Insert: "with_ this expression conflict returning default",
        exp.Update: "with_ this expressions from_ where returning",
        exp.Delete: "with_ this using where returning",
        exp.Merge: "with_ this using on whens returning",
        exp.When: "matched condition then",
        exp.With: "expressions recursive search cycle",
        exp.CTE: "this alias materialized",
    }.items()
}
"""The parts that each node may have."""

_KINDS: Final = frozenset({"", "INNER", "CROSS", "OUTER"})
_SIDES: Final = frozenset({"", "LEFT", "RIGHT", "FULL"})
_METHODS: Final = frozenset({"", "NATURAL"})


_FOREIGN: Final = frozenset(
    """
    apply argmax argmin array_contained_by array_contains_all array_has_all array_join
    array_overlaps arrayagg convert date_to_date_str glob if ifnull iif json_extract
    json_extract_scalar jsonb_extract jsonb_extract_scalar lcase len log2 match_against nvl
    regexp_i_like scope_resolution signum split_by_string startswith stdev time_to_time_str
    truncate try_convert ts_or_ds_to_date_str ucase variance_samp xor
    """.split()
)
"""Functions of other databases, which the parser turns into PostgreSQL's harmless ones or into
syntax. In PostgreSQL they can only be somebody's own, of whom nothing is known."""

_SPACE: Final = re.compile(r"[ \t\n\r\f\v]+|--[^\n\r]*")
_COMMENT: Final = re.compile(r"/\*|\*/")


def check_tokens(sql: str, tokens: list[Token]) -> None:
    """Refuse what PostgreSQL's scanner reads otherwise than sqlglot's.

    Between two tokens stand PostgreSQL's spaces and comments only: sqlglot also skips other
    spaces, which are letters to PostgreSQL, and comments of templates. `@2` is a parameter to
    sqlglot and an absolute value to PostgreSQL.

    Raises:
        StatementNotUnderstood: Such text is there.
    """
    at, before = 0, ""
    for token in tokens:
        if token.start > at and sql[at : token.start] != " ":
            _check_gap(sql, at, token.start)
        at = token.end + 1
        if token.token_type is TokenType.PARAMETER and token.text != "$":
            raise StatementNotUnderstood(f"the operator {token.text[:1]} is not understood")
        if token.token_type is TokenType.L_PAREN and before.lower() in _FOREIGN:
            raise StatementNotUnderstood(f"the function {before.lower()} is not understood")
        before = token.text
    _check_values(tokens)


def _check_values(tokens: list[Token]) -> None:
    """Rows of VALUES stand in parentheses; in other dialects they need none."""
    for index, token in enumerate(tokens[:-1]):
        if token.token_type is not TokenType.VALUES:
            continue
        named = index > 0 and tokens[index - 1].text.upper() in {"DEFAULT", "AS", "."}
        if not named and tokens[index + 1].token_type is not TokenType.L_PAREN:
            raise StatementNotUnderstood("VALUES without parentheses is not understood")


def _check_gap(sql: str, start: int, end: int) -> None:
    while start < end:
        space = _SPACE.match(sql, start, end)
        after = space.end() if space is not None else _comment_end(sql, start, end)
        if after is None:
            raise StatementNotUnderstood("what stands between two words is no space")
        start = after


def _comment_end(sql: str, start: int, end: int) -> int | None:
    """Behind the comment that begins at `start`; comments nest. None: there is none."""
    if not sql.startswith("/*", start):
        return None
    depth = 0
    for mark in _COMMENT.finditer(sql, start, end):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return None


def check_tree(tree: exp.Expr, tokens: list[Token]) -> None:
    """Refuse whatever is no part of the grammar that analysis knows, or was left out of the tree.

    The parser drops arguments of functions that take less in its own dialects.

    Raises:
        StatementNotUnderstood: Names the part.
    """
    nodes = list(tree.walk())
    for node in nodes:
        if isinstance(node, exp.Command) or (isinstance(node, exp.Merge) and node is not tree):
            name = node.this if isinstance(node, exp.Command) else "MERGE"
            raise StatementNotUnderstood(f"{name} is not understood")
    written = sum(token.token_type is TokenType.SELECT for token in tokens)
    if written != sum(isinstance(node, exp.Select) and not is_values(node) for node in nodes):
        raise StatementNotUnderstood("the statement is not understood as a whole")
    for node in nodes:
        allowed = _parts_of(type(node))
        if allowed is None:
            continue
        for part, value in node.args.items():
            if value and part not in allowed:
                raise StatementNotUnderstood(f"{part.rstrip('_').upper()} is not understood")
        if isinstance(node, exp.Join):
            _check_join(node)


def is_values(select: exp.Select) -> bool:
    """Whether the parser made this SELECT of VALUES: it gives the rows a name that no text has."""
    from_ = select.args.get("from_")
    if from_ is None or not isinstance(from_.this, exp.Values):
        return False
    alias = from_.this.args.get("alias")
    if alias is None:
        return False
    if alias.this is None:
        raise StatementNotUnderstood("column names without an alias are not understood")
    return "start" not in alias.this.meta


def _parts_of(kind: type[exp.Expr]) -> frozenset[str] | None:
    """The parts that nodes of a kind may have; None: any."""
    if kind not in _PARTS_BY_KIND:
        _PARTS_BY_KIND[kind] = next(
            (parts for known, parts in _PARTS.items() if issubclass(kind, known)), None
        )
    return _PARTS_BY_KIND[kind]


_PARTS_BY_KIND: Final[dict[type[exp.Expr], frozenset[str] | None]] = {}


def _check_join(join: exp.Join) -> None:
    for words, known in ((join.kind, _KINDS), (join.side, _SIDES), (join.method, _METHODS)):
        if (words or "").upper() not in known:
            raise StatementNotUnderstood(f"{words.upper()} JOIN is not understood")
