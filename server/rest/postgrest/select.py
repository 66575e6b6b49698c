"""The `select` parameter: columns, aggregates, and relations with columns of their own."""

import re
from typing import Final

from server.rest.filter_text import FilterReader
from server.rest.item_list import ItemList
from server.rest.operands import unquoted
from server.rest.request import Embed, Item, Output

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
    return _Select(text, reader, PARAMETER).whole()


def plain(name: str) -> str:
    """A name without its quotes and the space around it."""
    name = name.strip()
    if len(name) >= 2 and name[0] == '"' == name[-1]:
        return unquoted(name[1:-1])
    return name


class _Select(ItemList):
    def _item(self, depth: int) -> Item:
        text, position = self._text, self._position
        if self._is_at("*"):
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
        self._check_depth(depth)
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
        if not self._is_at(")"):
            items = self._items(depth + 1)
        self._close()
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
