"""SQL text cut into tokens and statements, by PostgreSQL's own lexical rules.

Of the grammar only what decides where a statement ends is known here: strings, quoted names, dollar
quotes, nested comments, parentheses, and the bodies of SQL functions (`BEGIN ATOMIC … END`).
See PostgreSQL documentation, 4.1 (Lexical Structure).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*)
  | (?P<block>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
  | (?P<unicode>[uU]&"(?:[^"]|"")*")
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
  | (?P<parameter>\$[0-9]+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
  | (?P<number>[0-9][A-Za-z0-9_.]*|\.[0-9][A-Za-z0-9_]*)
  | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK: Final = re.compile(r"/\*|\*/")


class Unreadable(Exception):
    """The text ends inside something, or holds what is not run here. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    OTHER = auto()


class Token(NamedTuple):
    """One token. `text`: words in lower case, quoted names and others as they mean or stand."""

    kind: Kind
    text: str
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its text without the semicolon, and where it begins."""

    text: str
    line: int
    tokens: tuple[Token, ...]

    def line_at(self, offset: int) -> int:
        """The line of the file in which a character of the text stands."""
        return self.line + self.text.count("\n", 0, offset)


def statements_of(text: str) -> tuple[Statement, ...]:
    """The statements of a file, in order; comments between them are left out.

    Raises:
        Unreadable: Something is not closed, or is psql's own and no SQL.
    """
    found: list[Statement] = []
    current: list[Token] = []
    depth = body = 0
    for token in _tokens(text):
        match token.text if token.kind in {Kind.WORD, Kind.OTHER} else "":
            case "\\" if not current:
                raise Unreadable(token.line, "a psql command is no SQL, and is not run here")
            case "(":
                depth += 1
            case ")":
                depth -= 1
            case "atomic" if current and current[-1].text == "begin":
                body = 1
            case "case" if body:
                body += 1
            case "end" if body:
                body -= 1
            case ";" if depth <= 0 and not body:
                _close(text, current, found)
                depth = 0
                continue
        current.append(token)
    _close(text, current, found)
    return tuple(found)


def _close(text: str, current: list[Token], found: list[Statement]) -> None:
    if not current:
        return
    first, last = current[0], current[-1]
    words = [token.text for token in current if token.kind is Kind.WORD]
    if words[:1] == ["copy"] and ("stdin" in words or "stdout" in words):
        raise Unreadable(first.line, "COPY with data in the file is psql's; use INSERT")
    shifted = tuple(
        token._replace(start=token.start - first.start, end=token.end - first.start)
        for token in current
    )
    found.append(Statement(text[first.start : last.end], first.line, shifted))
    current.clear()


def _tokens(text: str) -> Iterator[Token]:
    offset, line = 0, 1
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:  # cannot be: the last alternative takes any character
            raise Unreadable(line, "unreadable")
        kind, begun = match.lastgroup, offset
        offset = match.end()
        match kind:
            case "block":
                offset = _comment_end(text, offset, line)
            case "dollar":
                offset = text.find(match[0], offset) + len(match[0])
                if offset < match.end() + len(match[0]):
                    raise Unreadable(line, f"{match[0]} is not closed")
        token = _token(kind, text[begun:offset], line, begun, offset)
        if token is not None:
            yield token
        line += text.count("\n", begun, offset)


def _token(kind: str | None, text: str, line: int, start: int, end: int) -> Token | None:
    match kind:
        case "space" | "comment" | "block":
            return None
        case "word":
            return Token(Kind.WORD, _lower(text), line, start, end)
        case "quoted":
            return Token(Kind.QUOTED, text[1:-1].replace('""', '"'), line, start, end)
        case "string" | "escaped" | "dollar":
            return Token(Kind.STRING, text, line, start, end)
        case "unicode":
            raise Unreadable(line, 'names with Unicode escapes (U&"…") are not read here')
        case "symbol" if text in {"'", '"'}:
            raise Unreadable(line, f"{text} is not closed")
    return Token(Kind.OTHER, text, line, start, end)


def _lower(word: str) -> str:
    """PostgreSQL folds ASCII letters only."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in word)


def _comment_end(text: str, offset: int, line: int) -> int:
    depth = 1
    while depth:
        match = _BLOCK.search(text, offset)
        if match is None:
            raise Unreadable(line, "/* is not closed")
        depth += 1 if match[0] == "/*" else -1
        offset = match.end()
    return offset
