"""Reading a statement's tokens from left to right: words, names, groups in parentheses."""

from collections.abc import Iterator, Sequence
from typing import Final

from server.migrate.scan import Kind, Token

DEFAULT_SCHEMA: Final = "public"
"""Sessions of migrations have this search_path, so that a name without a schema has one meaning."""


class Cursor:
    """A place among tokens. What does not match is not taken."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tuple(tokens)
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.tokens)

    @property
    def line(self) -> int:
        """The line of the next token, else of the last one."""
        if not self.tokens:
            return 0
        return self.tokens[min(self.at, len(self.tokens) - 1)].line

    def peek(self) -> str:
        """The next word, or an empty text where none stands."""
        if not self or self.tokens[self.at].kind is not Kind.WORD:
            return ""
        return self.tokens[self.at].text

    def word(self) -> str:
        """Take the next word."""
        found = self.peek()
        if found:
            self.at += 1
        return found

    def take(self, *words: str) -> bool:
        """Take these words, if they all come next."""
        ahead = self.tokens[self.at : self.at + len(words)]
        if [token.text for token in ahead if token.kind is Kind.WORD] != list(words):
            return False
        self.at += len(words)
        return True

    def take_one(self, *words: str) -> str:
        """Take one of these words, if one comes next."""
        found = self.peek()
        if found not in words:
            return ""
        self.at += 1
        return found

    def symbol(self, text: str) -> bool:
        """Take this symbol, if it comes next."""
        if not self:
            return False
        token = self.tokens[self.at]
        if token.kind is not Kind.OTHER or token.text != text:
            return False
        self.at += 1
        return True

    def identifier(self) -> str | None:
        """Take a name without dots."""
        if self and self.tokens[self.at].kind in {Kind.WORD, Kind.QUOTED}:
            self.at += 1
            return self.tokens[self.at - 1].text
        return None

    def relation(self) -> str | None:
        """Take a name as `schema.name`."""
        first = self.identifier()
        if first is None:
            return None
        second = self.identifier() if self.symbol(".") else None
        return f"{DEFAULT_SCHEMA}.{first}" if second is None else f"{first}.{second}"

    def relations(self) -> Iterator[str]:
        """Take names that are joined by commas, each with ONLY before or `*` behind it."""
        while True:
            self.take("only")
            name = self.relation()
            if name is None:
                return
            yield name
            self.symbol("*")
            if not self.symbol(","):
                return

    def group(self) -> tuple[Token, ...] | None:
        """Take a group in parentheses, and give what is inside."""
        if not self.symbol("("):
            return None
        start, depth = self.at, 1
        while self and depth:
            token = self.tokens[self.at]
            if token.kind is Kind.OTHER:
                depth += {"(": 1, ")": -1}.get(token.text, 0)
            self.at += 1
        return self.tokens[start : self.at - 1]

    def seek(self, *words: str) -> str:
        """Go behind the first of these words that stands outside of parentheses."""
        while self:
            if self.group() is not None:
                continue
            found = self.take_one(*words)
            if found:
                return found
            self.at += 1
        return ""

    def rest(self) -> tuple[Token, ...]:
        """What has not been taken."""
        return self.tokens[self.at :]


def items_of(tokens: Sequence[Token]) -> tuple[tuple[Token, ...], ...]:
    """Tokens cut at the commas that stand outside of parentheses."""
    items: list[tuple[Token, ...]] = []
    current: list[Token] = []
    depth = 0
    for token in tokens:
        if token.kind is Kind.OTHER:
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
            if token.text == "," and depth == 0:
                items.append(tuple(current))
                current = []
                continue
        current.append(token)
    if current:
        items.append(tuple(current))
    return tuple(items)


def names_of(tokens: Sequence[Token]) -> tuple[str, ...]:
    """The first name of each item: the columns of `(a, b DESC, lower(c))`, calls left out."""
    names = []
    for item in items_of(tokens):
        cursor = Cursor(item)
        name = cursor.identifier()
        if name is not None and not cursor.symbol("("):
            names.append(name)
    return tuple(names)
