"""The native `select`: columns, aggregates, and relations with columns of their own."""

import re
from typing import Final

from server.rest.errors import ParameterMalformed, Spot
from server.rest.filter_text import MAX_ITEMS, FilterReader
from server.rest.request import Embed, Item, Output

MAX_DEPTH: Final = 16
"""Relations in each other. Each is a sub-select."""

PARAMETER: Final = "select"
_SPACE: Final = re.compile(r"\s*")
_AGGREGATE: Final = re.compile(r"(count|sum|avg|min|max)\s*\(\s*(\*|[^\s,()]+)\s*\)")
_RELATION: Final = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*\(")
_COLUMN: Final = re.compile(r"[^,()]+")


def native_select(text: str | None, reader: FilterReader) -> tuple[Item, ...]:
    """The items of `select`; none means all columns.

    Raises:
        ParameterMalformed: An item is neither a column nor an aggregate nor a relation.
    """
    if text is None or not text.strip():
        return ()
    return _Select(text, reader).whole()


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
                raise self._malformed(f"at most {MAX_ITEMS} items")
            self._skip_space()
            if self._text[self._position : self._position + 1] != ",":
                return tuple(items)
            self._position += 1

    def _item(self, depth: int) -> Item:
        aggregate = _AGGREGATE.match(self._text, self._position)
        if aggregate is not None:
            return self._aggregate(aggregate)
        relation = _RELATION.match(self._text, self._position)
        if relation is not None:
            return self._relation(relation, depth)
        column = _COLUMN.match(self._text, self._position)
        if column is None or not column[0].strip():
            raise self._malformed("a column, an aggregate or a relation")
        self._position = column.end()
        name = column[0].strip()
        return Output(None) if name == "*" else Output(self._reader.field(name, PARAMETER))

    def _aggregate(self, found: re.Match[str]) -> Output:
        function, column = found[1], found[2]
        if column == "*" and function != "count":
            raise self._malformed(f"a column within {function}()")
        self._position = found.end()
        if column == "*":
            return Output(None, function, aggregate=function)
        field = self._reader.field(column, PARAMETER)
        return Output(field, f"{function}_{field.column}", aggregate=function)

    def _relation(self, found: re.Match[str], depth: int) -> Embed:
        if depth >= MAX_DEPTH:
            raise self._malformed(f"at most {MAX_DEPTH} relations in each other")
        self._position = found.end()
        items = self._items(depth + 1)
        if self._text[self._position : self._position + 1] != ")":
            raise self._malformed('"," or ")"')
        self._position += 1
        return Embed(found[1], items)

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._position)
        if found is not None:
            self._position = found.end()

    def _malformed(self, expected: str) -> ParameterMalformed:
        return ParameterMalformed(Spot(PARAMETER, self._text, self._position), expected)
