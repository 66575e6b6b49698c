"""The `select` parameter: columns, aggregates, and relations with columns of their own."""

import re
from typing import Final

from server.rest.errors import ParameterMalformed, Spot
from server.rest.filter_text import MAX_ITEMS, FilterReader
from server.rest.operands import unquoted
from server.rest.request import Embed, Item, Output

MAX_DEPTH: Final = 16
"""Relations in each other. Each is a sub-select."""

PARAMETER: Final = "select parameter"
NAME: Final = r'(?:"(?:[^"\\]|\\.)*"|[^".,:()])+'
# no two parts of a pattern can match the same text, so that none is slow on any text
_RELATION: Final = r'(?:"(?:[^"\\]|\\.)*"|[^".,:()!])+'
_EMBED: Final = re.compile(
    rf"(?P<spread>\.\.\.)?(?:(?P<alias>{NAME}):(?!:))?(?P<relation>{_RELATION})"
    rf"(?P<hints>(?:!{_RELATION})*)\(",
    re.DOTALL,
)
_HINT: Final = re.compile(rf"!({_RELATION})", re.DOTALL)
_OUTPUT: Final = re.compile(
    rf"(?:(?P<alias>{NAME}):(?!:))?(?P<field>{NAME})(?:::(?P<cast>[^\":,()]+))?", re.DOTALL
)
_AGGREGATE: Final = re.compile(
    rf"(?:(?P<alias>{NAME}):(?!:))?(?:(?P<field>{NAME})(?:::(?P<cast>[^\":,().]+))?\.)?"
    r"(?P<function>sum|avg|count|min|max)\(\)(?:::(?P<result>[^\":,().]+))?",
    re.DOTALL,
)
_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(?:\[\])?")
_JOINS: Final = {"inner": True, "left": False}


def selected(text: str | None, reader: FilterReader) -> tuple[Item, ...]:
    """The items of `select`; none means all columns.

    Raises:
        ParameterMalformed: An item is neither a column nor a relation.
    """
    if text is None or text in {"", "*"}:
        return ()
    return _Select(text, reader).whole()


def plain(name: str) -> str:
    """A name without its quotes and the space around it."""
    name = name.strip()
    if len(name) >= 2 and name[0] == '"' == name[-1]:
        return unquoted(name[1:-1])
    return name


class _Select:
    """Reads one text from left to right; `_position` is how far."""

    def __init__(self, text: str, reader: FilterReader) -> None:
        self._text = text
        self._reader = reader
        self._position = 0
        self._count = 0

    def whole(self) -> tuple[Item, ...]:
        items = self._items(0)
        if self._position < len(self._text):
            raise self._malformed("end of input")
        return items

    def _items(self, depth: int) -> tuple[Item, ...]:
        items: list[Item] = []
        while True:
            self._skip_space()
            items.append(self._item(depth))
            self._count += 1
            if self._count > MAX_ITEMS:
                raise ParameterMalformed(self._spot(), f"at most {MAX_ITEMS} items", found="more")
            self._skip_space()
            if self._text[self._position : self._position + 1] != ",":
                return tuple(items)
            self._position += 1

    def _item(self, depth: int) -> Item:
        text, position = self._text, self._position
        if text[position : position + 1] == "*":
            self._position += 1
            return Output(None)
        aggregate = _AGGREGATE.match(text, position)
        if aggregate is not None:
            return self._aggregate(aggregate)
        embed = _EMBED.match(text, position)
        if embed is not None:
            return self._embed(embed, depth)
        found = _OUTPUT.match(text, position)
        if found is None:
            raise self._malformed("a field name (*, a column, a path, or a relation with columns)")
        cast = self._type(found["cast"])
        self._position = found.end()
        alias = found["alias"]
        field = self._reader.field(found["field"].strip(), PARAMETER)
        return Output(field, None if alias is None else plain(alias), cast)

    def _aggregate(self, found: re.Match[str]) -> Output:
        field, function = found["field"], found["function"]
        cast, result = (self._type(found[name]) for name in ("cast", "result"))
        if field is None and function != "count":
            raise self._malformed(f"a column before {function}()")
        self._position = found.end()
        return Output(
            None if field is None else self._reader.field(field.strip(), PARAMETER),
            None if found["alias"] is None else plain(found["alias"]),
            cast,
            function,
            result,
        )

    def _type(self, name: str | None) -> str | None:
        if name is not None and _TYPE.fullmatch(name.strip()) is None:
            raise self._malformed("a type")
        return None if name is None else name.strip()

    def _embed(self, found: re.Match[str], depth: int) -> Embed:
        if depth >= MAX_DEPTH:
            raise ParameterMalformed(self._spot(), f"at most {MAX_DEPTH} relations in each other")
        hint: str | None = None
        inner = False
        for each in _HINT.finditer(found["hints"]):
            name = plain(each[1])
            if name in _JOINS:
                inner = _JOINS[name]
            elif hint is None:
                hint = name
            else:
                raise self._malformed("one hint, and inner or left")
        self._position = found.end()
        items: tuple[Item, ...] = ()
        self._skip_space()
        if self._text[self._position : self._position + 1] != ")":
            items = self._items(depth + 1)
        if self._text[self._position : self._position + 1] != ")":
            raise self._malformed('"," or ")"')
        self._position += 1
        alias, spread = found["alias"], found["spread"] is not None
        if spread and alias is not None:
            raise self._malformed("no alias of a relation that is spread")
        return Embed(
            plain(found["relation"]),
            items,
            None if alias is None else plain(alias),
            hint,
            inner,
            spread,
        )

    def _skip_space(self) -> None:
        while self._text[self._position : self._position + 1].isspace():
            self._position += 1

    def _spot(self) -> Spot:
        return Spot(PARAMETER, self._text, self._position)

    def _malformed(self, expected: str) -> ParameterMalformed:
        return ParameterMalformed(self._spot(), expected)
