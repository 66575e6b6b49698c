"""Reads: on a replica that has reached what the session saw, elsewhere again when one fails."""

import time
from collections.abc import Hashable
from typing import Final

from router.backend_settings import BackendSettings
from router.backends import ShardQuery, ShardReply
from router.consistency import Policy
from router.context import QueryContext
from router.errors import DeadlineExceeded, RowCountUnexpected, StatementFailed
from router.live.connection import HeldConnection
from router.live.execution import (
    PLAIN_SHARE,
    Reading,
    inline_reading,
    read_in_one_sync,
    read_in_transaction,
    read_plainly,
)
from router.live.failures import DRIVER_ERRORS, ELSEWHERE, PlanOutdated
from router.live.faults import Faults
from router.live.freshness import Position
from router.live.hedging import Hedging
from router.live.live_endpoint import LiveEndpoint
from router.live.readers import Readers, behind
from router.live.retries import Retries
from router.live.shards import ShardEndpoints
from router.move_errors import UnitRefused
from router.observe import Observer, StatementServed
from router.statement import Served
from shardmap import ShardId

INSUFFICIENT_PRIVILEGE: Final = "42501"
"""What PostgreSQL says when a policy stands before a session that has `row_security` off."""


class Reads:
    """Runs reads and raises the floors of their sessions by what they saw."""

    def __init__(
        self, settings: BackendSettings, readers: Readers, faults: Faults, observe: Observer
    ) -> None:
        self._plain_from_s = settings.statement_timeout_s * PLAIN_SHARE
        self._readers = readers
        self._faults = faults
        self._observe = observe
        self._retries = Retries(settings, observe)
        self._hedging = Hedging(settings, observe) if settings.hedge_after is not None else None

    async def run(
        self, group: ShardEndpoints, query: ShardQuery, context: QueryContext
    ) -> ShardReply:
        """The answer of the first endpoint that gives one.

        A read that was thought to need no claims and met a policy runs again with them.
        """
        environment = context.environment
        if environment is not None and environment.always and not query.claims:
            query = query._replace(claims=True)
        try:
            try:
                if self._hedging is None:
                    return await self._once(group, query, context, ())
                return await self._hedging.run(
                    group,
                    lambda excluded, sent: self._once(group, query, context, excluded, sent),
                )
            except ELSEWHERE as failure:
                return await self._retries.again(
                    group,
                    context,
                    lambda excluded: self._once(group, query, context, excluded),
                    failure,
                )
        except StatementFailed as failure:
            if query.claims or failure.sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
        return await self.run(group, query._replace(claims=True), context)

    async def _once(
        self,
        group: ShardEndpoints,
        query: ShardQuery,
        context: QueryContext,
        excluded: tuple[int, ...],
        sent: list[LiveEndpoint] | None = None,
    ) -> ShardReply:
        began = time.monotonic()
        if context.deadline.at <= began:
            raise DeadlineExceeded("the request's time ran out")
        shard = group.shard
        readers = self._readers
        live, floor = readers.at_once(group, context, excluded) or await readers.found(
            group, context, excluded
        )
        if sent is not None:
            sent.append(live)
        standing = live.standing
        standing.in_flight += 1  # before there is a connection: opening one is load, too
        pool, among, asked = live.pool, 0, began
        text: Hashable = query.sql
        try:
            held = pool.take(context.role)
            if held is None:
                held = await self._faults.acquired(live, context)
            asked = time.monotonic()
            among = len(pool.in_use)
            late = context.deadline.at - asked < self._plain_from_s
            text = (query.sql,) if late else query.sql  # in a transaction it takes longer
            rows, in_recovery, lsn = await self._read(shard, live, held, query, context)
        except DeadlineExceeded:
            ended = time.monotonic()
            standing.waited(ended - began)
            pool.admission.unanswered(text, ended - asked, among, ended)
            raise
        finally:
            standing.in_flight -= 1
        ended = time.monotonic()
        standing.answered_in(ended - asked)
        pool.admission.answered(text, ended - asked, among, ended)
        standing.lsn = max(standing.lsn, lsn)
        if in_recovery is not standing.in_recovery:
            live.monitor.ask()
        if floor is not None and lsn < floor.lsn:
            raise behind(shard, live, lsn)
        if in_recovery and context.consistency.policy is Policy.STRONG:
            raise behind(shard, live, lsn)
        position = Position(standing.timeline, lsn)
        if readers.saw(shard, context, floor, position):
            await readers.told(shard, context, position)
        if query.exactly is not None and rows.affected != query.exactly:
            raise RowCountUnexpected(query.exactly, rows.affected)
        self._observe(
            StatementServed(
                shard, live.name, replica=in_recovery, write=False, seconds=ended - began
            )
        )
        served = Served(shard, live.name, in_recovery)
        return ShardReply(rows.rows, rows.affected, rows.columns, served)

    async def _read(
        self,
        shard: ShardId,
        live: LiveEndpoint,
        held: HeldConnection,
        query: ShardQuery,
        context: QueryContext,
    ) -> Reading:
        """Run it on this connection, and give the connection back in the state it is in."""
        put_back = live.pool.discard
        left_s = context.deadline.remaining_s()
        plain = not query.claims and left_s >= self._plain_from_s and not held.pooled
        # the answer is one envelope, and the session's own limit will do
        alone = query.inline_position and (
            held.pooled or (query.claims and left_s >= self._plain_from_s)
        )
        try:
            if plain:
                prepared = held.cached(query.sql)
                if prepared is not None and query.inline_position:  # nearly all there is to it
                    records = await prepared.statement.fetch(*query.args, timeout=left_s)
                    reading = inline_reading(records, prepared, query)
                else:
                    reading = await read_plainly(held, query, context.deadline)
            else:
                found = None
                if alone:
                    found = await read_in_one_sync(held, query, context, left_s, shard)
                    alone = found is not None
                reading = found or await read_in_transaction(held, query, context, shard)
        except DRIVER_ERRORS as error:
            failure = self._faults.noted(error, shard, live, held, context, read=True)
            if isinstance(failure, StatementFailed | PlanOutdated | UnitRefused):
                put_back = live.pool.give_back if plain or alone else live.pool.tidy
            raise failure from error
        except StatementFailed:  # before the statement was sent
            put_back = live.pool.tidy
            raise
        else:
            put_back = live.pool.give_back
            return reading
        finally:
            put_back(held)
