"""The functions that a statement's text calls, by the names that PostgreSQL reads.

The parser renames functions (`bool_and` becomes LOGICAL_AND, `strpos` POSITION), and models some
syntax as functions, so names are taken from the tokens: a word before a parenthesis is a call,
unless it is a word that calls nothing there, a type behind `::`, or a name that the tree says is an
alias. `x.f` is a call too: PostgreSQL reads it as `f(x)` when x has no column f.
"""

from typing import Final, NamedTuple

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.analysis.builtins import RESERVED
from router.analysis.nodes import Nodes
from router.analysis.parse import Parsed
from router.analysis.scopes import ascii_lower
from router.errors import StatementNotUnderstood

_SYNTAX: Final = frozenset(
    """
    by conflict cube escape filter first ilike insert join key like materialized next over
    repeatable rollup set sets similar update within zone
    """.split()
)
"""Words that may stand before a parenthesis without calling anything, though functions may have
these names: then they count as called."""

_TYPED_BEHIND: Final = frozenset({TokenType.DCOLON, TokenType.ALIAS, TokenType.INTO})
"""Behind `::` and AS stands a type or an alias, behind INTO a table with its columns."""

_QUOTED: Final = TokenType.IDENTIFIER
_OPENING: Final = TokenType.L_PAREN
_DOT: Final = TokenType.DOT
_STRING: Final = TokenType.STRING
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET})


class Call(NamedTuple):
    """One function as it is called. `attribute`: written as `x.name`, so perhaps a column."""

    schema: str | None
    name: str
    attribute: bool = False
    of_row: bool = False
    """As an attribute it is one of a table, CTE or sub-select by its name, not of any value."""
    syntax: bool = False
    """A word of the grammar, which calls a function only if there is one of that name."""


def calls_of(parsed: Parsed) -> frozenset[Call]:
    """Every function that the statement calls, or may call.

    Raises:
        StatementNotUnderstood: It calls one by a name of three parts, or on a value.
    """
    tokens = parsed.tokens
    found: dict[int, Call] = {}
    for index, kind in enumerate(parsed.kinds):
        if kind is _OPENING and index:
            at, call = index - 1, _call(tokens, index - 1)
        elif kind is _DOT and _is_last_part(parsed.kinds, index + 1):
            at, call = index + 1, _attribute(tokens, index + 1)
        else:
            continue
        if call is not None:
            found[tokens[at].start] = call
    if found:
        for start in _named(parsed.nodes):
            found.pop(start, None)
    return frozenset(found.values())


def _call(tokens: tuple[Token, ...], at: int) -> Call | None:
    """The call whose name, before a parenthesis, is the token at `at`; None: it is none."""
    name = _name(tokens[at])
    if name is None:
        return None
    if at > 0 and tokens[at - 1].token_type is _DOT:
        schema = _name(tokens[at - 2]) if at > 1 else None
        if at > 2 and tokens[at - 3].token_type in _TYPED_BEHIND:
            return None
        if schema is None or (at > 2 and tokens[at - 3].token_type is _DOT):
            raise StatementNotUnderstood(f"the call of {name} is not understood")
        return Call(schema, name)
    if at > 0 and tokens[at - 1].token_type in _TYPED_BEHIND:
        return None
    if tokens[at].token_type is not _QUOTED:
        name = name.rsplit(maxsplit=1)[-1]  # GROUP BY is one token
        if name in RESERVED or (at > 0 and _is_sample(tokens[at - 1])):
            return None
        return Call(None, name, syntax=name in _SYNTAX)
    return Call(None, name)


def _attribute(tokens: tuple[Token, ...], at: int) -> Call | None:
    name = _name(tokens[at])
    if name is None:
        return None
    of_row = at > 1 and tokens[at - 2].token_type not in _CLOSING
    return Call(None, name, attribute=True, of_row=of_row)


def _is_last_part(kinds: tuple[TokenType, ...], at: int) -> bool:
    """Whether a token is there, with neither a further part nor arguments behind it."""
    following = kinds[at + 1] if at + 1 < len(kinds) else None
    return at < len(kinds) and following is not _DOT and following is not _OPENING


def _name(token: Token) -> str | None:
    """The name that a token can be, as PostgreSQL stores it."""
    if token.token_type is _QUOTED:
        return token.text
    text = token.text
    if token.token_type is _STRING or not (text[:1].isalpha() or text[:1] == "_"):
        return None
    return ascii_lower(text)


def _is_sample(token: Token) -> bool:
    return token.token_type is TokenType.TABLE_SAMPLE


def _named(nodes: Nodes) -> set[int]:
    """Where the names of aliases and tables stand, before the parenthesis of their columns."""
    names = [
        node.this
        for node in nodes.of(exp.TableAlias, exp.Table)
        if isinstance(node.this, exp.Identifier)
    ]
    return {int(name.meta["start"]) for name in names if "start" in name.meta}
