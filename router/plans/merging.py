"""Rows of several shards, each in order, to one order: batch by batch, holding no more than that.

Merging row by row costs some microseconds of Python a row. So it goes by blocks: whatever comes
before the last row that the slowest shard has shown can be sorted at once, by the C code of
`list.sort`, which merges the runs it finds.
"""

from collections.abc import Iterator, Sequence

from router.analysis.query import SortKey
from router.plans.order import Comparison, Row, sort_rows


class Merging:
    """The merge of so many sources, cut to `limit` rows from `offset` on.

    `first` is the first sort column of the rows. Rows with equal keys stay in the order of their
    sources, as `sort_rows` of all rows would leave them: without keys, source after source.
    """

    def __init__(
        self, sources: int, sort: Sequence[SortKey], first: int, *, limit: int | None, offset: int
    ) -> None:
        self._sort = sort
        self._first = first
        self._compare = Comparison(sort, first)
        self._rows: list[list[Row]] = [[] for _ in range(sources)]
        self._ended = [False] * sources
        self._skip = offset
        self._left = limit

    def feed(self, source: int, rows: Sequence[Row]) -> None:
        """The next rows of a source that has none left; no rows: it has ended."""
        self._rows[source] = list(rows)
        self._ended[source] = not rows

    def wanting(self) -> Iterator[int]:
        """The sources that have to be fed before anything more can be taken."""
        for source, rows in enumerate(self._rows):
            if not rows and not self._ended[source]:
                yield source

    @property
    def done(self) -> bool:
        """Whether no row is to come: all have been taken, or as many as were wanted."""
        return self._left == 0 or (all(self._ended) and not any(self._rows))

    def take(self) -> list[Row]:
        """The rows that certainly come next, when no source is wanting. Perhaps none, after a cut.

        Each call uses up at least one source.
        """
        held, bound = self._bound()
        block: list[Row] = []
        used = 0
        for source, rows in enumerate(self._rows):
            if not rows:
                continue
            # equal rows of an earlier source may still come, and go before ours
            count = (
                len(rows)
                if bound is None or source == held
                else self._prefix(rows, bound, equal=source < held)
            )
            if count:
                block += rows[:count]
                self._rows[source] = rows[count:]
                used += 1
        if used > 1:
            sort_rows(block, self._sort, self._first)
        return self._cut(block)

    def _bound(self) -> tuple[int, Row | None]:
        """The source whose last row comes first, and that row: later rows may be anything.

        Sources that have ended bound nothing.
        """
        held, bound = 0, None
        for source, rows in enumerate(self._rows):
            if rows and not self._ended[source]:
                last = rows[-1]
                if bound is None or self._compare(last, bound) < 0:
                    held, bound = source, last
        return held, bound

    def _prefix(self, rows: Sequence[Row], bound: Row, *, equal: bool) -> int:
        """How many rows, which are in order, come before the bound, or are `equal` to it."""
        low, high = 0, len(rows)
        while low < high:
            middle = (low + high) // 2
            found = self._compare(rows[middle], bound)
            if found < 0 or (equal and found == 0):
                low = middle + 1
            else:
                high = middle
        return low

    def _cut(self, block: list[Row]) -> list[Row]:
        if self._skip:
            skipped = min(self._skip, len(block))
            self._skip -= skipped
            block = block[skipped:]
        if self._left is not None:
            block = block[: self._left]
            self._left -= len(block)
        return block
