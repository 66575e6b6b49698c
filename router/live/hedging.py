"""Reads that are late, sent to a second replica as well: the first answer counts.

Only reads come here: statements that change nothing, outside of transactions, whose answer is
given whole. Sent twice they do no harm but work, and the one that is not needed is cancelled.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from router.backend_settings import BackendSettings
from router.backends import ShardReply
from router.errors import RouterError, ShardUnavailable
from router.gather import first_failure
from router.live.hedge import Hedge
from router.live.live_endpoint import LiveEndpoint
from router.live.shards import ShardEndpoints
from router.observe import Hedged, Observer, ReadHedged
from shardmap import ShardId

Once = Callable[[tuple[int, ...], list[LiveEndpoint]], Awaitable[ShardReply]]
"""Runs the read once, on none of the endpoints given; adds the one it is sent to to the list."""


class Hedging:
    """Sends late reads twice, within the budget of their shard."""

    def __init__(self, settings: BackendSettings, observe: Observer) -> None:
        self._after = settings.hedge_after
        self._share = settings.hedge_share
        self._observe = observe
        self._hedges: dict[ShardId, Hedge] = {}

    async def run(self, group: ShardEndpoints, once: Once) -> ShardReply:
        """The first answer.

        Raises:
            RouterError: What the first endpoint said, or the second if that tells of the statement.
        """
        hedge = self._hedges.get(group.shard)
        if hedge is None:
            if self._after is None:
                return await once((), [])
            hedge = self._hedges[group.shard] = Hedge(self._after, self._share)
        delay_s = hedge.delay_s()
        began = time.monotonic()
        if delay_s is None:
            reply = await once((), [])
        else:
            reply = await self._raced(group, once, hedge, delay_s)
        hedge.took(time.monotonic() - began)
        return reply

    async def _raced(
        self, group: ShardEndpoints, once: Once, hedge: Hedge, delay_s: float
    ) -> ShardReply:
        began = time.monotonic()
        sent: list[LiveEndpoint] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                first = tasks.create_task(_told(once((), sent)))
                await asyncio.wait((first,), timeout=delay_s)
                excluded = group.all_but_other_replicas(sent[0]) if sent else None
                if first.done() or excluded is None:
                    return _answer(await first)
                if not hedge.spend():
                    self._observe(ReadHedged(group.shard, sent[0].name, Hedged.WITHHELD))
                    return _answer(await first)
                second = tasks.create_task(_told(once(excluded, [])))
                winner = await _first_to_answer(first, second)
                outcome = Hedged.WON if winner is second else Hedged.LOST
                self._observe(ReadHedged(group.shard, sent[0].name, outcome))
                if winner is second:
                    sent[0].standing.waited(time.monotonic() - began)
                (first if winner is second else second).cancel()
                return _answer(winner.result())
        except ExceptionGroup as failures:
            raise first_failure(failures) from failures


async def _told(work: Awaitable[ShardReply]) -> ShardReply | RouterError:
    """The reply or the failure, as a value: one that fails does not end the other."""
    try:
        return await work
    except RouterError as failure:
        return failure


def _answer(told: ShardReply | RouterError) -> ShardReply:
    if isinstance(told, RouterError):
        raise told
    return told


_Task = asyncio.Task[ShardReply | RouterError]


async def _first_to_answer(first: _Task, second: _Task) -> _Task:
    """The one that is done first, unless it could only say that its endpoint is of no use.

    When neither has an answer, the first.
    """
    done, waiting = await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED)
    for task in (first, second):
        if task in done and not isinstance(task.result(), ShardUnavailable):
            return task
    if waiting:
        (other,) = waiting
        await asyncio.wait((other,))
        if not isinstance(other.result(), ShardUnavailable):
            return other
    return first
