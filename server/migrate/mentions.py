"""The names in a statement that may be relations: where one may stand, one is looked for.

Some of them are none (an alias, a column); whoever asks knows which relations there are.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from server.migrate.cursor import Cursor
from server.migrate.scan import Kind, Token, Unreadable, statements_of

_BEFORE_NAMES: Final = frozenset(
    {"from", "join", "into", "update", "references", "only", "using", "setof", "returns"}
)
_ENDS_FROM: Final = frozenset(
    {"where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "union",
     "except", "intersect", "returning", "set", "when", "select", "values"}
)  # fmt: skip
_BEFORE_TABLES: Final = ("table", "on", "truncate")
"""What stands before a relation in the statements of a function's body."""


def mentions_of(tokens: Sequence[Token]) -> frozenset[str]:
    """Names that stand where a relation may stand."""
    return frozenset(_mentions(tokens))


def body_mentions(tokens: Sequence[Token]) -> frozenset[str]:
    """The same of what is quoted: the bodies of functions, procedures and DO."""
    found: set[str] = set()
    for token in tokens:
        if token.kind is not Kind.STRING:
            continue
        text = token.text
        quote = "'" if text.endswith("'") else text[: text.index("$", 1) + 1]
        try:
            statements = statements_of(text[text.index(quote) + len(quote) : -len(quote)])
        except Unreadable:  # no code, then: a comment, a default
            continue
        for statement in statements:
            found.update(_mentions(statement.tokens))
            cursor = Cursor(statement.tokens)
            while cursor.seek(*_BEFORE_TABLES):
                cursor.take("if", "not", "exists")
                cursor.take("if", "exists")
                cursor.take("only")
                found.add(cursor.relation() or "")
    return frozenset(found)


def _mentions(tokens: Sequence[Token]) -> Iterator[str]:
    cursor = Cursor(tokens)
    froms: list[int] = []
    depth = 0
    while cursor:
        token = cursor.tokens[cursor.at]
        if token.kind is Kind.WORD and token.text in _BEFORE_NAMES:
            cursor.at += 1
            cursor.take_one("only", "lateral", "setof")
            if token.text in {"from", "using"}:
                froms = [*(level for level in froms if level < depth), depth]
            name = cursor.relation()
            if name is not None:
                yield name
            continue
        if token.kind is Kind.WORD and token.text in _ENDS_FROM:
            froms = [level for level in froms if level < depth]
        cursor.at += 1
        if token.kind is Kind.OTHER:
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if token.text == "," and depth in froms:
                cursor.take("lateral")
                name = cursor.relation()
                if name is not None:
                    yield name
