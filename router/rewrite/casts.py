"""Casts around a statement's parameters, so that their values can be sent as text."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from sqlglot import TokenType

from router.analysis.parse import Parsed, parse
from router.rewrite.splice import Edit, splice


def cast_parameters(sql: str, casts: Mapping[int, str]) -> str:
    """The text with each `$n` of `casts` (counted from 1) as `($n::cast)`.

    Raises:
        QueryRefused: The statement is not understood.
    """
    parsed = parse(sql)
    return splice(parsed.sql, _edits(parsed, casts))


def _edits(parsed: Parsed, casts: Mapping[int, str]) -> Iterator[Edit]:
    tokens = parsed.tokens
    for sign, number in pairwise(tokens):
        if sign.token_type is not TokenType.PARAMETER or not number.text.isdecimal():
            continue
        cast = casts.get(int(number.text))
        if cast is not None:
            yield Edit(sign.start, number.end + 1, f"(${int(number.text)}::{cast})")
