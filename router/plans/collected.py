"""The replies of a write on several shards as one Result."""

from collections.abc import Sequence
from typing import TypeVar

from router.analysis.query import Reply
from router.backends import ShardReply
from router.plans.order import Row
from router.plans.plan import Collect, Plan
from router.statement import SEPARATOR, Result

T = TypeVar("T")


def collected(plan: Plan, collect: Collect, replies: Sequence[ShardReply]) -> Result:
    """One answer from the replies, which are in the order of the plan's parts."""
    served = tuple(reply.served for reply in replies)
    affected = sum(reply.affected for reply in replies)
    total = affected if plan.total else None
    if plan.reply is Reply.COMMAND:
        return Result(affected, total=total, served=served)
    if plan.reply is Reply.ROWS:
        rows = in_order([reply.rows for reply in replies], collect.order)
        return Result(len(rows), replies[0].columns, rows, total=total, served=served)
    texts: list[Sequence[str]] = []
    for reply in replies:
        row: Row = reply.rows[0]
        texts.append(row[0])
    body = "[" + SEPARATOR.join(in_order(texts, collect.order)) + "]"
    return Result(affected, body=body, total=total, served=served)


def in_order(found: Sequence[Sequence[T]], order: Sequence[int] | None) -> list[T]:
    """The rows of all shards: in the order of the input when each shard gave all it got."""
    counts = [0] * len(found)
    for shard in order or ():
        counts[shard] += 1
    if order is None or counts != [len(rows) for rows in found]:
        return [row for rows in found for row in rows]
    each = [iter(rows) for rows in found]
    return [next(each[shard]) for shard in order]
