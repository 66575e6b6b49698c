"""Runs a plan: its shards at once, the first error cancels the rest."""

import asyncio
from collections.abc import Sequence

from router.backends import Backends, ShardReads, ShardReply
from router.context import QueryContext
from router.errors import RouterError
from router.plans.plan import Plan, PullUp, shards_of
from router.plans.pulled import arrays_of


async def gather(plan: Plan, backends: Backends, context: QueryContext) -> Sequence[ShardReply]:
    """The replies of the plan's shards, in the route's order; behind them that of a pull-up's.

    Raises:
        RouterError: The first failure; the other shards' statements were cancelled.
    """
    if plan.together is not None:
        return await backends.run_together(plan.together, context)
    shards = shards_of(plan.route)
    if context.snapshot and len(shards) > 1:
        async with backends.snapshot(shards, context) as reads:
            return await _read(plan, reads, context)
    return await _read(plan, backends, context)


async def _read(plan: Plan, backends: ShardReads, context: QueryContext) -> Sequence[ShardReply]:
    replies = await ask_all(plan, backends, context)
    if not isinstance(plan.combine, PullUp):
        return replies
    last = plan.combine
    arrays = arrays_of(last, shards_of(plan.route), replies)
    query = last.query._replace(args=(*last.query.args, *arrays))
    return (*replies, await backends.run(last.shard, query, context))


async def ask_all(plan: Plan, backends: ShardReads, context: QueryContext) -> Sequence[ShardReply]:
    """The replies of the plan's shards, in the route's order.

    Raises:
        RouterError: The first failure; the other shards' statements were cancelled.
    """
    *others, last = shards_of(plan.route)
    if not others:
        return (await backends.run(last, plan.query, context),)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(backends.run(shard, plan.query, context)) for shard in others
            ]
            reply = await backends.run(last, plan.query, context)  # needs no task of its own
    except ExceptionGroup as failures:
        raise first_failure(failures) from failures
    return [*(task.result() for task in running), reply]


def first_failure(failures: ExceptionGroup[Exception]) -> Exception:
    """The first of our own errors, else the first of any kind."""
    ours = failures.subgroup(RouterError)
    found = (ours or failures).exceptions[0]
    return first_failure(found) if isinstance(found, ExceptionGroup) else found
