"""What the parser may have read: only the parts of PostgreSQL's grammar that analysis knows.

sqlglot reads many dialects at once: `orders semi JOIN items` is a semi-join to it, and a table
under the alias `semi` to PostgreSQL. Whatever analysis does not know is refused, so that it never
reasons about a statement other than the one that runs.
"""

import re
from collections.abc import Sequence
from typing import Final

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.analysis.nodes import Nodes, family
from router.errors import StatementNotUnderstood

MAX_NESTING: Final = 64
"""Parentheses deeper than this recurse too far in the parser; no human writes them."""

_PARTS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    member: frozenset(parts.split())
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
    for member in family(kind)
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
    """Refuse what PostgreSQL's scanner reads otherwise than sqlglot's, and what nests too deep.

    Between two tokens stand PostgreSQL's spaces and comments only: sqlglot also skips other
    spaces, which are letters to PostgreSQL, and comments of templates. `@2` is a parameter to
    sqlglot and an absolute value to PostgreSQL.

    Raises:
        StatementNotUnderstood: Such text is there.
    """
    at = depth = 0
    for index, token in enumerate(tokens):
        start = token.start
        if start > at and sql[at:start] != " ":
            _check_gap(sql, at, start)
        at = token.end + 1
        kind = token.token_type
        if kind not in _CHECKED:
            continue
        if kind is _OPENING:
            depth += 1
            _check_opening(tokens, index, depth)
        elif kind is _CLOSING:
            depth -= 1
        elif kind is _PARAMETER and token.text != "$":
            raise StatementNotUnderstood(f"the operator {token.text[:1]} is not understood")
        elif kind is _AMP:
            _check_ampersand(tokens, index)
        elif kind is _VALUES:
            _check_values(tokens, index)


_OPENING: Final = TokenType.L_PAREN
_CLOSING: Final = TokenType.R_PAREN
_PARAMETER: Final = TokenType.PARAMETER
_AMP: Final = TokenType.AMP
_VALUES: Final = TokenType.VALUES
_CHECKED: Final = frozenset({_OPENING, _CLOSING, _PARAMETER, _AMP, _VALUES})
_QUOTES: Final = frozenset({TokenType.IDENTIFIER, TokenType.STRING})


def _check_opening(tokens: list[Token], index: int, depth: int) -> None:
    if depth > MAX_NESTING:
        raise StatementNotUnderstood(f"the statement nests deeper than {MAX_NESTING}")
    if index and (name := tokens[index - 1].text.lower()) in _FOREIGN:
        raise StatementNotUnderstood(f"the function {name} is not understood")


def _check_ampersand(tokens: list[Token], index: int) -> None:
    """PostgreSQL reads `U&"data"` as one identifier, sqlglot as `U & "data"`."""
    if not 0 < index < len(tokens) - 1:
        return
    before, sign, after = tokens[index - 1 : index + 2]
    beside = sign.start == before.end + 1 and after.start == sign.end + 1
    if beside and before.text in {"U", "u"} and after.token_type in _QUOTES:
        raise StatementNotUnderstood("Unicode escapes (U&) are not understood")


def _check_values(tokens: list[Token], index: int) -> None:
    """Rows of VALUES stand in parentheses; in other dialects they need none."""
    if index == len(tokens) - 1 or tokens[index + 1].token_type is _OPENING:
        return
    if not index or tokens[index - 1].text.upper() not in {"DEFAULT", "AS", "."}:
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


def check_tree(tree: exp.Expr, nodes: Nodes, kinds: Sequence[TokenType]) -> None:
    """Refuse whatever is no part of the grammar that analysis knows, or was left out of the tree.

    The parser drops arguments of functions that take less in its own dialects. `kinds` are those
    of the text's tokens.

    Raises:
        StatementNotUnderstood: Names the part.
    """
    for command in nodes.of(exp.Command):
        raise StatementNotUnderstood(f"{command.this} is not understood")
    if any(merge is not tree for merge in nodes.of(exp.Merge)):
        raise StatementNotUnderstood("MERGE is not understood")
    if kinds.count(TokenType.SELECT) != sum(not is_values(one) for one in nodes.of(exp.Select)):
        raise StatementNotUnderstood("the statement is not understood as a whole")
    for kind, found in nodes.by_class.items():
        allowed = _PARTS.get(kind)
        if allowed is None:
            continue
        for node in found:
            for part, value in node.args.items():
                if value and part not in allowed:
                    raise StatementNotUnderstood(f"{part.rstrip('_').upper()} is not understood")
    for join in nodes.of(exp.Join):
        _check_join(join)


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


def _check_join(join: exp.Join) -> None:
    for words, known in ((join.kind, _KINDS), (join.side, _SIDES), (join.method, _METHODS)):
        if (words or "").upper() not in known:
            raise StatementNotUnderstood(f"{words.upper()} JOIN is not understood")
