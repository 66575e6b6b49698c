"""The rows of an insert's VALUES, cut out of its text, so that each shard can be given its own."""

from collections.abc import Iterator

from sqlglot import Token, TokenType

from router.analysis.parse import Parsed
from router.analysis.query import Param, Piece, ValueRows
from router.analysis.scopes import Region


def value_rows(parsed: Parsed, region: Region, count: int) -> ValueRows | None:
    """The text before, in and behind the rows; None when there are not `count` of them to be seen.

    What stands between two rows is a comma, and perhaps a comment, which is dropped.
    """
    clause = region.clauses.get(TokenType.VALUES)
    if clause is None:
        return None
    spans = tuple(_spans(parsed.tokens, clause.content, clause.end))
    if not spans or len(spans) != count:
        return None
    return ValueRows(
        _piece(parsed, 0, spans[0][0]),
        tuple(_piece(parsed, start, end) for start, end in spans),
        _piece(parsed, spans[-1][1], len(parsed.body)),
    )


def _spans(tokens: tuple[Token, ...], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each outer pair of parentheses begins and ends."""
    depth, opened = 0, 0
    for token in tokens:
        if not start <= token.start < end:
            continue
        if token.token_type is TokenType.L_PAREN:
            if depth == 0:
                opened = token.start
            depth += 1
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                yield opened, token.end + 1


def _piece(parsed: Parsed, start: int, end: int) -> Piece:
    """The text with its parameters apart."""
    found: list[str | Param] = []
    at = start
    for token, number in zip(parsed.tokens, parsed.tokens[1:], strict=False):
        if (
            start <= token.start < end
            and token.token_type is TokenType.PARAMETER
            and number.token_type is TokenType.NUMBER
        ):
            found += [parsed.body[at : token.start], Param(int(number.text) - 1)]
            at = number.end + 1
    found.append(parsed.body[at:end])
    return tuple(found)
