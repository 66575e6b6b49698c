"""The tenant key of rows that MERGE inserts, filled in where they name none."""

from collections.abc import Iterator, Sequence

from sqlglot import Token, TokenType

from router.analysis.insert_keys import Inserted
from router.analysis.parse import Parsed
from router.analysis.scopes import Region, quoted
from router.errors import UnsupportedAcrossShards
from router.rewrite.insert import closing_parenthesis
from router.rewrite.splice import Edit, insertion


def merge_edits(
    parsed: Parsed, region: Region, inserts: Sequence[Inserted], column: str, value: str
) -> Iterator[Edit]:
    """Edits that give the rows inserted by a MERGE the tenant `value` where they name none.

    Raises:
        UnsupportedAcrossShards: The text does not show the inserts that the tree has.
    """
    tokens = parsed.tokens
    places = [
        index
        for index in range(1, len(tokens))
        if tokens[index].token_type is TokenType.INSERT
        and tokens[index - 1].token_type is TokenType.THEN
        and region.start <= tokens[index].start < region.end
    ]
    if len(places) != len(inserts):
        raise UnsupportedAcrossShards("a MERGE whose inserts are not understood")
    for at, inserted in zip(places, inserts, strict=True):
        if inserted.index is None:
            yield from _filled(tokens, at, inserted, column, value)


def _filled(
    tokens: tuple[Token, ...], at: int, inserted: Inserted, column: str, value: str
) -> Iterator[Edit]:
    if inserted.listed:
        closing = closing_parenthesis(tokens, at + 1)
        yield insertion(tokens[closing].start, f", {quoted(column)}")
        at = closing
    else:
        names = ", ".join(map(quoted, (*(inserted.columns or ()), column)))
        yield insertion(tokens[at].end + 1, f" ({names})")
    closing = closing_parenthesis(tokens, at + 2)  # behind VALUES
    yield insertion(tokens[closing].start, f", {value}")
