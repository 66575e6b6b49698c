"""What both dialects' `select` share: a list of items, of which some hold a list of their own."""

from abc import ABC, abstractmethod
from typing import Final

from server.rest.errors import ParameterMalformed, Spot
from server.rest.filter_text import MAX_ITEMS, FilterReader
from server.rest.request import Item

MAX_DEPTH: Final = 16
"""Relations in each other. Each is a sub-select."""


class ItemList(ABC):
    """Reads one text from left to right; `_position` is how far."""

    def __init__(self, text: str, reader: FilterReader, parameter: str) -> None:
        self._text = text
        self._reader = reader
        self._parameter = parameter
        self._position = 0
        self._count = 0

    def whole(self) -> tuple[Item, ...]:
        """The items of all of the text.

        Raises:
            ParameterMalformed: It is no such list.
        """
        items = self._items(0)
        if self._position < len(self._text):
            raise self._malformed("end of input")
        return items

    @abstractmethod
    def _item(self, depth: int) -> Item:
        """The item that begins here."""

    def _items(self, depth: int) -> tuple[Item, ...]:
        items: list[Item] = []
        while True:
            self._skip_space()
            items.append(self._item(depth))
            self._count += 1
            if self._count > MAX_ITEMS:
                raise self._malformed(f"at most {MAX_ITEMS} items", found="more")
            self._skip_space()
            if not self._is_at(","):
                return tuple(items)
            self._position += 1

    def _check_depth(self, depth: int) -> None:
        """A relation that begins here may hold another list."""
        if depth >= MAX_DEPTH:
            raise self._malformed(f"at most {MAX_DEPTH} relations in each other")

    def _close(self) -> None:
        """The end of a relation's list."""
        if not self._is_at(")"):
            raise self._malformed('"," or ")"')
        self._position += 1

    def _is_at(self, char: str) -> bool:
        return self._text[self._position : self._position + 1] == char

    def _skip_space(self) -> None:
        while self._text[self._position : self._position + 1].isspace():
            self._position += 1

    def _malformed(self, expected: str, found: str | None = None) -> ParameterMalformed:
        spot = Spot(self._parameter, self._text, self._position)
        return ParameterMalformed(spot, expected, found=found)
