"""Replies of shards to one Result: passed on, or merged by PostgreSQL's order and then cut."""

from collections.abc import Sequence
from typing import assert_never

from router.analysis.query import Reply
from router.backends import ShardReply
from router.catalogue.agreement import agreed_columns
from router.errors import RowCountUnexpected
from router.plans.collected import collected
from router.plans.order import Row, sort_rows
from router.plans.plan import Collect, Merge, Plan, PullUp, Single, Totals
from router.plans.totals import totalled
from router.statement import SEPARATOR, Result


def combine(plan: Plan, replies: Sequence[ShardReply], exactly: int | None = None) -> Result:
    """One answer from the replies, which are in the order of the route's shards.

    Raises:
        RowCountUnexpected: `exactly` was asked for and a gather gave another number of rows.
    """
    match plan.combine:
        case Single():
            return _single(plan, replies[0])
        case PullUp():
            served = tuple(reply.served for reply in replies)
            return _single(plan, replies[-1])._replace(served=served)
        case Merge() as merge:
            result = _merged(plan, merge, replies)
            if exactly is not None and result.row_count != exactly:
                raise RowCountUnexpected(exactly, result.row_count)
            return result
        case Collect() as collect:
            return collected(plan, collect, replies)
        case Totals() as totals:
            return totalled(plan, totals, replies)
        case _:
            assert_never(plan.combine)


def _single(plan: Plan, reply: ShardReply) -> Result:
    served = (reply.served,)
    match plan.reply:
        case Reply.ENVELOPE:
            row: Row = reply.rows[0]
            total = row[2] if plan.total and len(row) > 2 else None
            if plan.total and total is None:
                total = row[1]  # a write: what it changed is the total
            return Result(row_count=row[1], body=row[0], total=total, served=served)
        case Reply.ROWS:
            return Result(len(reply.rows), reply.columns, reply.rows, served=served)
        case Reply.COMMAND:
            total = reply.affected if plan.total else None
            return Result(reply.affected, total=total, served=served)
        case _:
            assert_never(plan.reply)


def _merged(plan: Plan, merge: Merge, replies: Sequence[ShardReply]) -> Result:
    served = tuple(reply.served for reply in replies)
    if plan.reply is Reply.ROWS:
        keys = len(merge.sort)
        columns = agreed_columns(replies)
        width = len(columns) - keys
        gathered = [row for reply in replies for row in reply.rows]
        sort_rows(gathered, merge.sort, width)
        rows = _cut(gathered, merge)
        return Result(len(rows), columns[:width], [row[:width] for row in rows], served=served)
    total = 0
    found: list[Row] = []
    for reply in replies:
        first: Row = reply.rows[0]
        arrays = first[: len(merge.sort) + 1]
        if arrays[0] is not None:
            found.extend(zip(*arrays, strict=True))
        if plan.total:
            total += first[len(merge.sort) + 1]
    sort_rows(found, merge.sort, 1)
    rows = _cut(found, merge)
    return Result(
        row_count=len(rows),
        body="[" + SEPARATOR.join([row[0] for row in rows]) + "]",
        total=total if plan.total else None,
        served=served,
    )


def _cut(rows: list[Row], merge: Merge) -> list[Row]:
    end = None if merge.limit is None else merge.offset + merge.limit
    return rows[merge.offset : end]
