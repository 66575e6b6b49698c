"""PostgreSQL's own plans of a statement: what EXPLAIN says on each shard that would be asked.

Estimates come from statistics of whole tables. They say a little of other tenants' rows: whoever
hands them out decides who may see them.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from router.backends import Access, Backends, ShardQuery
from router.context import QueryContext
from router.errors import UnsupportedAcrossShards
from router.gather import ask_all
from router.plans.plan import Merge, Plan, Single, shards_of
from shardmap import ShardId

PLAN_OPTIONS: Final = ("analyze", "verbose", "settings", "buffers", "wal")
"""What EXPLAIN may be told besides its format, in the order in which it is."""


class PlanOptions(NamedTuple):
    """How EXPLAIN is to be run. `chosen` are of `PLAN_OPTIONS`; `analyze` runs the statement."""

    as_json: bool = True
    chosen: tuple[str, ...] = ()


class ServerPlan(NamedTuple):
    """What EXPLAIN printed on one shard: a JSON array of one plan, or lines."""

    shard: ShardId
    text: str


async def server_plans(
    plan: Plan, options: PlanOptions, backends: Backends, context: QueryContext
) -> tuple[ServerPlan, ...]:
    """The plans of what each shard of the route is asked, in the route's order.

    Raises:
        UnsupportedAcrossShards: It writes, and would be run to be explained, or on several shards.
    """
    replies = await ask_all(plan._replace(query=_explained(plan, options)), backends, context)
    shards = shards_of(plan.route)
    return tuple(
        ServerPlan(shard, "\n".join(str(row[0]) for row in reply.rows))
        for shard, reply in zip(shards, replies, strict=True)
    )


def planned_rows(plan: Plan, plans: Sequence[ServerPlan]) -> int:
    """How many rows the planners expect in all.

    Raises:
        UnsupportedAcrossShards: The answer is computed over what the shards send: nobody has
            planned it yet.
    """
    if not isinstance(plan.combine, Merge | Single):
        raise UnsupportedAcrossShards(
            "an estimated number of groups or of joined rows",
            hint="Ask for an exact count, or name the tenant.",
        )
    return sum(int(json.loads(each.text)[0]["Plan"]["Plan Rows"]) for each in plans)


def _explained(plan: Plan, options: PlanOptions) -> ShardQuery:
    query = plan.query
    runs = "analyze" in options.chosen
    if plan.together is not None or (runs and query.access is Access.WRITE):
        raise UnsupportedAcrossShards("EXPLAIN of this write", hint="Explain a read.")
    words = ["FORMAT JSON" if options.as_json else "FORMAT TEXT"]
    words += [f"{name.upper()} {name in options.chosen}" for name in PLAN_OPTIONS]
    return query._replace(
        sql=f"EXPLAIN ({', '.join(words)}) {query.sql}",
        access=Access.READ,
        inline_position=False,
        exactly=None,
        row_count_column=None,
    )
