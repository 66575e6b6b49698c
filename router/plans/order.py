"""PostgreSQL's order among rows of several shards, by their hidden sort columns."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

from router.analysis.query import SortKey

Row = tuple[Any, ...]

_PLAIN: Final = frozenset({int, str, bool})
"""Types whose values are in PostgreSQL's order by themselves: with one of them alone in a column,
a sort costs a third."""


def sort_rows(rows: list[Row], sort: Sequence[SortKey], first: int) -> None:
    """Sort by the key columns that begin at `first`: stable passes from the last key to the first.

    The runs of each shard arrive in order, which the sort finds and merges in linear time.
    """
    for index in reversed(range(len(sort))):
        column, order = first + index, sort[index]
        value = itemgetter(column)
        kinds = set(map(type, map(value, rows)))
        plain = len(kinds) == 1 and kinds <= _PLAIN
        rows.sort(key=value if plain else _key(column, order), reverse=order.descending)


class Comparison:
    """Tells which of two rows comes first: 0 when their keys are equal."""

    __slots__ = ("_keys",)

    def __init__(self, sort: Sequence[SortKey], first: int) -> None:
        self._keys = [
            (_key(first + index, order), -1 if order.descending else 1)
            for index, order in enumerate(sort)
        ]

    def __call__(self, left: Row, right: Row) -> int:
        """Negative when `left` comes first, positive when `right` does."""
        for key, ahead in self._keys:
            one, other = key(left), key(right)
            if one != other:
                return -ahead if one < other else ahead
        return 0


def _key(column: int, order: SortKey) -> Callable[[Row], tuple[Any, ...]]:
    """Sort key of one column: NULLs by rank, NaN above every number (PostgreSQL's order)."""
    null = (0,) if order.nulls_first != order.descending else (2,)

    def key(row: Row) -> tuple[Any, ...]:
        value = row[column]
        if value is None:
            return null
        if isinstance(value, float) and math.isnan(value):
            return (1, 1)
        if isinstance(value, Decimal) and value.is_nan():
            return (1, 1)
        return (1, 0, value)

    return key
