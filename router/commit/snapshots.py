"""One snapshot of several shards: every write on several shards is in it wholly, or not at all.

A transaction that is prepared holds the shard's *gate*, a shared advisory lock, from before
PREPARE until COMMIT PREPARED, also over a crash of whoever prepared it. A snapshot shuts the gates
of all its shards, so that no write on several shards is between its commits, takes its snapshots in
that moment, and opens them again. Nobody else is stopped: reads, and writes on one shard, go on.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from router.backends import ShardQuery, ShardReply
from router.context import QueryContext
from router.errors import DeadlineExceeded, RouterError, SnapshotBusy, StatementFailed
from router.gather import first_failure
from router.live.shards import ShardEndpoints
from router.live.transactions import OpenTransaction, Transactions
from router.transaction_options import Isolation, TransactionOptions
from shardmap import ShardId

OPTIONS: Final = TransactionOptions(Isolation.REPEATABLE_READ, read_only=True)
LONGEST_PAUSE_S: Final = 0.05
"""Between two attempts at the gates: whoever holds one may be waiting for another of ours."""
_LOCK_NOT_AVAILABLE: Final = "55P03"


class Snapshots:
    """Takes snapshots."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    @asynccontextmanager
    async def taken(
        self, groups: Sequence[ShardEndpoints], context: QueryContext
    ) -> AsyncIterator["Snapshot"]:
        """A snapshot of the shards, for as long as the context lasts. It is read on primaries.

        Raises:
            SnapshotBusy: A write on several shards did not end in time.
            RouterError: A primary cannot be reached, or the request's time ran out.
        """
        opened = await self._opened(groups, context)
        try:
            yield Snapshot(opened)
            await _together([each.commit(context.deadline) for each in opened.values()])
        finally:
            for each in opened.values():
                each.leave()

    async def _opened(
        self, groups: Sequence[ShardEndpoints], context: QueryContext
    ) -> dict[ShardId, OpenTransaction]:
        busy: RouterError | None = None
        while True:
            try:
                return await self._once(groups, context)
            except DeadlineExceeded:
                if busy is None:
                    raise
                raise SnapshotBusy(
                    groups[0].shard, "a write on several shards did not end in time"
                ) from busy
            except StatementFailed as failure:
                if failure.sqlstate != _LOCK_NOT_AVAILABLE:
                    raise
                busy = failure
                pause_s = random.uniform(0, LONGEST_PAUSE_S)  # noqa: S311 - no secret
                await asyncio.sleep(pause_s)

    async def _once(
        self, groups: Sequence[ShardEndpoints], context: QueryContext
    ) -> dict[ShardId, OpenTransaction]:
        seats: list[OpenTransaction] = []
        taken = False
        try:
            for group in groups:  # in order, and never long: see `shut_gate`
                seats.append(await self._transactions.seated(group, context))
                await seats[-1].shut_gate()
            await _together([seat.begin(OPTIONS) for seat in seats])
            await _together([seat.open_gate() for seat in seats])
            taken = True
        finally:
            if not taken:
                for seat in seats:
                    seat.leave()
        return {group.shard: seat for group, seat in zip(groups, seats, strict=True)}


class Snapshot:
    """Reads of the shards as they were when it was taken."""

    def __init__(self, opened: dict[ShardId, OpenTransaction]) -> None:
        self._opened = opened
        self._turns = {shard: asyncio.Lock() for shard in opened}

    async def run(self, shard: ShardId, query: ShardQuery, context: QueryContext) -> ShardReply:
        """The shard's answer; of one shard one after the other.

        Raises:
            RouterError: It failed, and the snapshot is of no use any more.
        """
        async with self._turns[shard]:
            return await self._opened[shard].run(query, context.deadline)


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All of it at the same time; the first failure cancels the others."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for one in work:
                tasks.create_task(one)
    except ExceptionGroup as failures:
        raise first_failure(failures) from failures
