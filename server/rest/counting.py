"""Totals that need not be exact: what PostgreSQL's planner expects, perhaps after a look.

`planned` is the planner's number. `estimated` is exact as long as there are no more rows than one
answer may have, and the planner's number beyond. Of several shards the numbers are added.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from router import Consistency, Result
from server.exchange import Request
from server.rest.desk import Desk, Filled, Target
from server.rest.request import Page, ReadRows

EXACT_ROWS: Final = 1000
"""Up to so many rows an estimated count is exact where no cap of rows is set."""

PLANNED: Final = "planned"
INEXACT: Final = frozenset({PLANNED, "estimated"})


async def estimate(  # noqa: PLR0913, PLR0917 - the read, for whom, and how
    desk: Desk,
    request: Request,
    target: Target,
    read: ReadRows,
    values: Sequence[Any],
    how: str,
    consistency: Consistency | None = None,
) -> int:
    """About how many rows the read gives without its page.

    Raises:
        RouterError: It cannot be run, or the shards' planners do not see all of it.
    """
    counting = replace(read, counting=True, order=(), limited=False, skipped=False)
    seen = 0
    if how != PLANNED:
        most = desk.limits.max_rows or EXACT_ROWS
        template = desk.template(replace(counting, limited=True), target)
        page = Page(most + 1, 0)
        result = await desk.ask(request, Filled(template, values, page, consistency=consistency))
        seen = result.row_count
        if seen <= most:
            return seen
    template = desk.template(counting, target)
    planned = await desk.planned_rows(request, Filled(template, values, consistency=consistency))
    return max(seen, planned)


def with_total(result: Result, offset: int, total: int) -> Result:
    """The result with an estimated total, which is no less than what it shows itself."""
    shown = offset + result.row_count if result.row_count else 0
    return result._replace(total=max(total, shown))
