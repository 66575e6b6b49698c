"""Writes: on the primary, at most once, with an outcome that is never guessed."""

import time
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random

from router.backends import ShardQuery, ShardReply
from router.context import QueryContext
from router.environment import RowsTooMany
from router.errors import (
    CommitUnknown,
    DeadlineExceeded,
    PrimaryAway,
    RouterError,
    RowCountUnexpected,
    StatementFailed,
)
from router.live.connection import HeldConnection
from router.live.execution import Rows, Stage, Write
from router.live.failures import (
    DRIVER_ERRORS,
    EndpointLost,
    NotSent,
    PlanOutdated,
    proves_rollback,
    says_read_only,
)
from router.live.faults import Faults
from router.live.freshness import Position
from router.live.live_endpoint import LiveEndpoint
from router.live.readers import Readers
from router.live.retries import LONGEST_RETRY_PAUSE_S, stop_after
from router.live.shards import ShardEndpoints
from router.move_errors import UnitRefused
from router.observe import CommitLost, Observer, StatementServed
from router.statement import Served
from shardmap import ShardId

_TIDY: Final = (StatementFailed, PlanOutdated, RowCountUnexpected, RowsTooMany, UnitRefused)
"""Failures after which a connection only waits to be rolled back."""
ATTEMPTS: Final = 3
"""How often a write is begun that did not get as far as its statement."""


class Writes:
    """Runs writes, and raises the floors of their sessions before anybody hears of success."""

    def __init__(self, readers: Readers, faults: Faults, observe: Observer) -> None:
        self._readers = readers
        self._faults = faults
        self._observe = observe

    async def run(
        self, group: ShardEndpoints, query: ShardQuery, context: QueryContext
    ) -> ShardReply:
        """The primary's answer, after its commit.

        What certainly was not run (no connection, BEGIN failed, an outdated plan) is begun again.
        """
        try:
            return await self._once(group, query, context)
        except (NotSent, PlanOutdated):
            return await self._again(group, query, context)

    async def _once(
        self, group: ShardEndpoints, query: ShardQuery, context: QueryContext
    ) -> ShardReply:
        began = time.monotonic()
        if context.deadline.at <= began:
            raise DeadlineExceeded("the request's time ran out")
        shard = group.shard
        live = group.writer_at_once()
        if live is None:
            live = await group.writer(context.deadline)
        standing, pool = live.standing, live.pool
        standing.in_flight += 1
        try:
            held = pool.take(context.role) or await self._acquired(shard, live, context)
            asked = time.monotonic()
            among = len(pool.in_use)
            rows, position = await self._write(shard, live, held, query, context)
        finally:
            standing.in_flight -= 1
        ended = time.monotonic()
        pool.admission.answered(query.sql, ended - asked, among, ended)
        if group.left_behind(position):
            self._observe(CommitLost(shard, live.name))
            raise CommitUnknown(f"{live.name} committed after another server had been promoted")
        await self._readers.wrote(shard, context, position)
        standing.lsn = max(standing.lsn, position.lsn)
        if position.timeline != standing.timeline:
            live.monitor.look_again()
        seconds = time.monotonic() - began
        self._observe(StatementServed(shard, live.name, replica=False, write=True, seconds=seconds))
        served = Served(shard, live.name, replica=False)
        return ShardReply(rows.rows, rows.affected, rows.columns, served)

    async def _acquired(
        self, shard: ShardId, live: LiveEndpoint, context: QueryContext
    ) -> HeldConnection:
        try:
            return await self._faults.acquired(live, context)
        except EndpointLost as error:
            raise NotSent(shard, error.message) from error

    async def _write(
        self,
        shard: ShardId,
        live: LiveEndpoint,
        held: HeldConnection,
        query: ShardQuery,
        context: QueryContext,
    ) -> tuple[Rows, Position]:
        """Run and commit it on this connection, and give the connection back as it then is."""
        attempt = Write()
        failure: RouterError | None = None
        try:
            return await attempt.run(held, query, context, shard)
        except DRIVER_ERRORS as error:
            failure = self._meaning(error, attempt.stage, shard, live, held, context)
            raise failure from error
        except RouterError as error:
            failure = error
            raise
        finally:
            _put_back(live, held, attempt.stage, failure)
            if isinstance(failure, CommitUnknown):
                self._observe(CommitLost(shard, live.name))

    async def _again(
        self, group: ShardEndpoints, query: ShardQuery, context: QueryContext
    ) -> ShardReply:

        async def again() -> ShardReply:
            return await self._once(group, query, context)

        return await AsyncRetrying(
            retry=retry_if_exception_type((NotSent, PlanOutdated)),
            stop=stop_after(ATTEMPTS - 1, context),
            wait=wait_random(0, LONGEST_RETRY_PAUSE_S),
            reraise=True,
        )(again)

    def _meaning(  # noqa: PLR0913, PLR0917 - the scene of an error
        self,
        error: Exception,
        stage: Stage,
        shard: ShardId,
        live: LiveEndpoint,
        held: HeldConnection,
        context: QueryContext,
    ) -> RouterError:
        """What a driver error means for a write that had come so far."""
        if stage is Stage.BEGIN and says_read_only(error):
            live.demoted()
            return NotSent(shard, f"{live.name} is no longer the primary")
        failure = self._faults.noted(error, shard, live, held, context, read=False)
        if stage is Stage.POSITION or (stage is Stage.COMMIT and not proves_rollback(error)):
            return CommitUnknown(f"{live.name} was lost while it committed")
        match failure:
            case EndpointLost() if stage is Stage.BEGIN:
                return NotSent(shard, failure.message)
            case EndpointLost():
                return PrimaryAway(shard, f"{failure.message}; nothing was written")
            case PrimaryAway():
                live.demoted()
        return failure


def _put_back(
    live: LiveEndpoint, held: HeldConnection, stage: Stage, failure: RouterError | None
) -> None:
    """A connection whose COMMIT may still be running is dropped: nothing may cancel it."""
    if stage is Stage.DONE:
        live.pool.give_back(held)
    elif isinstance(failure, _TIDY):
        live.pool.tidy(held)
    elif stage in {Stage.COMMIT, Stage.POSITION}:
        live.pool.drop(held)
    else:
        live.pool.discard(held)
