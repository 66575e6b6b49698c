"""The query string as decoded pairs, in order."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from server.errors import RequestMalformed

MAX_PAIRS: Final = 1000
"""More parameters than any client sends; each costs a condition in the statement."""

Pair = tuple[str, str]


def pairs(query: str) -> tuple[Pair, ...]:
    """Name and value of every parameter, percent-decoded, `+` as a space.

    Raises:
        RequestMalformed: The query is not percent-encoded UTF-8, holds NUL, or is too long.
    """
    return tuple(_pairs(query))


def _pairs(query: str) -> Iterator[Pair]:
    if query.count("&") >= MAX_PAIRS:
        raise RequestMalformed(f"The query has more than {MAX_PAIRS} parameters")
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            yield decoded(name), decoded(value)


def decoded(text: str) -> str:
    """Percent-decoded text, `+` as a space.

    Raises:
        RequestMalformed: It is not percent-encoded UTF-8, or holds NUL.
    """
    if "+" in text:
        text = text.replace("+", " ")
    return segment(text) if "%" in text or not text.isascii() else text


def segment(text: str) -> str:
    """A percent-decoded part of a path, where `+` is a plus.

    Raises:
        RequestMalformed: It is not percent-encoded UTF-8, or holds NUL.
    """
    try:
        text = unquote_to_bytes(text).decode()
    except UnicodeError as error:
        raise RequestMalformed("The URL is not percent-encoded UTF-8") from error
    if "\0" in text:
        raise RequestMalformed("The URL holds a NUL character")
    return text
