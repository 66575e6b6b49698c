"""The native `select`: columns, aggregates, and relations with columns of their own."""

import re
from typing import Final

from server.rest.filter_text import FilterReader
from server.rest.item_list import ItemList
from server.rest.request import Embed, Item, Output

PARAMETER: Final = "select"
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
    return _Select(text, reader, PARAMETER).whole()


class _Select(ItemList):
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
        self._check_depth(depth)
        self._position = found.end()
        items = self._items(depth + 1)
        self._close()
        return Embed(found[1], items)
