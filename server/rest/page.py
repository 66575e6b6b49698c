"""Which rows of an answer are wanted: limits, offsets, ranges, and `Content-Range`."""

import re
from dataclasses import dataclass
from typing import Final

from router import WHOLE_ROWS
from server.rest.errors import ParameterMalformed, RangeUnsatisfiable, Spot
from server.rest.request import WHOLE, Page

MAX_ROWS: Final = 2**63 - 1
"""bigint, the type of LIMIT and OFFSET."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_RANGE: Final = re.compile(r"\s*([0-9]{1,19})-([0-9]{0,19})\s*")

LOWER_OVER_UPPER: Final = (
    "The lower boundary must be lower than or equal to the upper boundary in the Range header."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may read or write."""

    default_page_size: int = 1000
    max_page_size: int = 1000
    max_total_results: int = 10_000
    """`offset + limit` of the native API, for all but the service role."""
    max_batch_size: int = 1000
    """Rows of one insert."""
    max_rows: int | None = None
    """Rows of one answer under /rest/v1."""
    aggregates: bool = False
    """Whether `select` may hold aggregates under /rest/v1."""
    plans: bool = False
    """Whether clients under /rest/v1 may see PostgreSQL's plans."""
    tx_override: bool = False
    """Whether `Prefer: tx=…` says how a write under /rest/v1 ends."""
    stream_s: float = 300.0
    """How long an answer in pieces may take."""


def count_of(text: str, parameter: str) -> int:
    """The whole number that a parameter gives; may be negative.

    Raises:
        ParameterMalformed: It is none, or no bigint.
    """
    if _INTEGER.fullmatch(text) is None:
        raise ParameterMalformed(Spot(parameter, text), "a whole number")
    number = int(text)
    if abs(number) > MAX_ROWS:
        raise ParameterMalformed(Spot(parameter, text), "a number of 64 bits", found="more")
    return number


def native_page(limit: str | None, offset: str | None, limits: Limits, *, service: bool) -> Page:
    """The page of a native read: capped in size, and for all but services in reach.

    Raises:
        ParameterMalformed: A number is none, or negative.
    """
    wanted = limits.default_page_size if limit is None else _natural(limit, "limit")
    skipped = 0 if offset is None else _natural(offset, "offset")
    wanted = min(wanted, limits.max_page_size)
    if not service:
        wanted = max(0, min(wanted, limits.max_total_results - skipped))
    return Page(wanted, skipped)


def _natural(text: str, parameter: str) -> int:
    number = count_of(text, parameter)
    if number < 0:
        raise ParameterMalformed(Spot(parameter, text), "a number that is not negative")
    return number


def postgrest_page(
    limit: str | None, offset: str | None, ranged: str | None, max_rows: int | None
) -> Page:
    """The intersection of `limit`/`offset` with a Range header, under the row cap.

    A Range header of another form (`bytes=0-`) is not for us, and ignored as HTTP has it.

    Raises:
        RangeUnsatisfiable: The limit is negative, or nothing is left.
        ParameterMalformed: A number is none, or the offset is negative.
    """
    if limit is None and offset is None and ranged is None and max_rows is None:
        return WHOLE
    wanted = None if limit is None else count_of(limit, "limit")
    if wanted is not None and wanted < 0:
        raise RangeUnsatisfiable("Limit should be greater than or equal to zero.")
    first = 0 if offset is None else _natural(offset, "offset")
    last = None if wanted is None else first + wanted - 1
    found = None if ranged is None else _RANGE.fullmatch(ranged)
    if found is not None:
        first = max(first, int(found[1]))
        if found[2]:
            last = int(found[2]) if last is None else min(last, int(found[2]))
        if last is not None and first > last and wanted != 0:
            raise RangeUnsatisfiable(LOWER_OVER_UPPER)
    rows = None if last is None else max(0, last - first + 1)
    if max_rows is not None:
        rows = max_rows if rows is None else min(rows, max_rows)
    if first > MAX_ROWS or (rows is not None and rows > MAX_ROWS):
        raise RangeUnsatisfiable("The range is larger than 64 bits.")
    return Page(rows, first)


def rows_of_page(page: Page, total: int) -> int:
    """How many of so many rows are on the page."""
    behind = max(0, total - page.offset)
    return behind if page.limit is None else min(page.limit, behind)


def may_be_large(page: Page) -> bool:
    """Whether more rows may be fetched than are answered whole, those before the page included."""
    return page.limit is None or page.limit + page.offset > WHOLE_ROWS


def content_range(offset: int, rows: int, total: int | None) -> str:
    """`first-last/total`, with `*` for no rows and for an unknown total."""
    extent = "*" if rows == 0 else f"{offset}-{offset + rows - 1}"
    return f"{extent}/{'*' if total is None else total}"
