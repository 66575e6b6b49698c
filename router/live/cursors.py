"""Reads whose rows are fetched when they are asked for: cursors in read-only transactions.

Choosing the endpoint, repeating elsewhere and raising the session's floor is as for every read,
until the first batch is there. From then on the rows are those of one server and one snapshot.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Final, TypeVar, cast

import asyncpg
from asyncpg.cursor import Cursor as Portal

from router.backend_settings import BackendSettings
from router.backends import ShardQuery
from router.consistency import Policy
from router.context import Deadline, QueryContext
from router.errors import DeadlineExceeded, PoolTimeout, StatementFailed
from router.live.connection import HeldConnection
from router.live.execution import take_note
from router.live.failures import DRIVER_ERRORS, ELSEWHERE, PlanOutdated
from router.live.faults import Faults
from router.live.freshness import Position
from router.live.live_endpoint import LiveEndpoint
from router.live.preamble import COMMIT, commit_and_clean
from router.live.readers import Readers, behind
from router.live.reads import INSUFFICIENT_PRIVILEGE
from router.live.replicas import Standing
from router.live.retries import Retries
from router.live.shards import ShardEndpoints
from router.move_errors import UnitRefused
from router.observe import Observer, StatementServed
from router.plans.order import Row
from router.statement import WHOLE_ROWS, Served
from shardmap import ShardId

BATCH_BYTES: Final = 128 * 1024
"""What a batch should be: two of each shard are held, and copied a few times on their way out.

Smaller ones cost more round trips for no less memory than a response's own buffers take."""

GROWTH: Final = 2
"""A batch has at most so many times the rows of the one before, in case rows grow suddenly."""

SAMPLE: Final = 16
"""One row in so many is measured."""

SMALL_BYTES: Final = 16
"""About what a number or a date takes."""

PutBack = Callable[[HeldConnection], None]

_Result = TypeVar("_Result")


class Cursors:
    """Opens cursors on the endpoints of shards."""

    def __init__(
        self, settings: BackendSettings, readers: Readers, faults: Faults, observe: Observer
    ) -> None:
        self._acquire_timeout_s = settings.acquire_timeout_s
        self._readers = readers
        self._faults = faults
        self._observe = observe
        self._retries = Retries(settings, observe)

    async def open(
        self, group: ShardEndpoints, query: ShardQuery, context: QueryContext, until: Deadline
    ) -> "Cursor":
        """A cursor with its first batch, on the first endpoint that gives one.

        A read that was thought to need no claims and met a policy runs again with them.
        """
        environment = context.environment
        if environment is not None and environment.always and not query.claims:
            query = query._replace(claims=True)

        async def once(excluded: tuple[int, ...]) -> Cursor:
            return await self._once(group, query, context, until, excluded)

        try:
            try:
                return await once(())
            except ELSEWHERE as failure:
                return await self._retries.again(group, context, once, failure)
        except StatementFailed as failure:
            if query.claims or failure.sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
        return await self.open(group, query._replace(claims=True), context, until)

    async def _once(
        self,
        group: ShardEndpoints,
        query: ShardQuery,
        context: QueryContext,
        until: Deadline,
        excluded: tuple[int, ...],
    ) -> "Cursor":
        _left_s(context.deadline)
        shard = group.shard
        readers = self._readers
        live, floor = readers.at_once(group, context, excluded) or await readers.found(
            group, context, excluded
        )
        standing = live.standing
        with ExitStack() as freeing:
            standing.in_flight += 1
            freeing.callback(_leave, standing)
            await self._room(shard, live, context)
            freeing.callback(live.pool.cursors.release)
            held = live.pool.take(context.role)
            if held is None:
                held = await self._faults.acquired(live, context)
            cursor = Cursor(shard, live, held, query, context, self._faults, self._observe)
            cursor.freeing = freeing.pop_all()
        in_recovery, lsn = await cursor.begin(until)
        standing.answered_in(cursor.spent_s)
        standing.lsn = max(standing.lsn, lsn)
        if in_recovery is not standing.in_recovery:
            live.monitor.ask()
        strong = context.consistency.policy is Policy.STRONG
        if (floor is not None and lsn < floor.lsn) or (in_recovery and strong):
            cursor.abandon()
            raise behind(shard, live, lsn)
        position = Position(standing.timeline, lsn)
        if readers.saw(shard, context, floor, position):
            told = False
            try:
                await readers.told(shard, context, position)
                told = True
            finally:
                if not told:
                    cursor.abandon()
        return cursor

    async def _room(self, shard: ShardId, live: LiveEndpoint, context: QueryContext) -> None:
        """Wait for a place among the cursors of an endpoint.

        Raises:
            PoolTimeout: None came free in time.
        """
        timeout_s = min(context.deadline.remaining_s(), self._acquire_timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await live.pool.cursors.acquire()
        except TimeoutError as error:
            raise PoolTimeout(
                shard, f"connection pool of {live.name}: too many large answers are on their way"
            ) from error


class Cursor:
    """The rows of one read on one connection; see `ShardRows`.

    Batches are bounded by `WHOLE_ROWS`, and to about `BATCH_BYTES` by what the rows before had.
    """

    __slots__ = (
        "_batch",
        "_context",
        "_faults",
        "_first",
        "_held",
        "_live",
        "_observe",
        "_pace_s",
        "_portal",
        "_query",
        "_running",
        "_shard",
        "_until",
        "columns",
        "ended",
        "freeing",
        "served",
        "spent_s",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - what a read on a connection is made of
        self,
        shard: ShardId,
        live: LiveEndpoint,
        held: HeldConnection,
        query: ShardQuery,
        context: QueryContext,
        faults: Faults,
        observe: Observer,
    ) -> None:
        self.served = Served(shard, live.name, replica=live.standing.in_recovery)
        self.columns: tuple[str, ...] = ()
        self.ended = False
        self.freeing = ExitStack()
        """Gives back what is held besides the connection."""
        self.spent_s = 0.0
        """What PostgreSQL was waited for."""
        self._shard = shard
        self._live = live
        self._held: HeldConnection | None = held
        self._query = query
        self._context = context
        self._until = context.deadline
        self._pace_s = context.deadline.remaining_s()
        self._faults = faults
        self._observe = observe
        self._portal: Portal[asyncpg.Record] | None = None
        self._first: Sequence[Row] = ()
        self._batch = query.first_rows
        self._running = False

    async def begin(self, until: Deadline) -> tuple[bool, int]:
        """Fetch the first batch; whether the server is in recovery, and how far it can have seen.

        `until` holds from then on.
        """
        held = self._connection()
        position = await self._step(self._begin(held, until))
        self.served = self.served._replace(replica=position[0])
        self._until = until
        self._context = self._context._replace(deadline=until)
        return position

    async def batch(self) -> Sequence[Row]:
        """The next rows, or none when there are no more."""
        first, self._first = self._first, ()
        if first or self.ended:
            return first
        return await self._step(self._fetch(self._connection()))

    def abandon(self) -> None:
        """Take no more rows: the transaction is undone and the connection given back."""
        self._first = ()
        if self._held is not None:
            pool = self._live.pool
            self._free(pool.discard if self._running else pool.tidy)

    async def _begin(self, held: HeldConnection, until: Deadline) -> tuple[bool, int]:
        context = self._context
        limit_ms = int(_left_s(context.deadline) * 1000) + 2  # our own clock is to ring first
        idle_ms = int(_left_s(until) * 1000) + 2
        opening = held.begin(context, write=False, timeout_ms=limit_ms)
        await held.execute(
            f"{opening}; SET LOCAL idle_in_transaction_session_timeout = {idle_ms}", self._left_s()
        )
        sql = self._query.sql
        prepared = held.cached(sql) or await held.prepare(sql, self._left_s())
        self.columns = prepared.columns
        factory = prepared.statement.cursor(*self._query.args, timeout=self._left_s())
        self._portal = await factory
        rows = await self._portal.fetch(self._batch, timeout=self._left_s())
        self._first = cast("Sequence[Row]", rows)  # tuples in all but name
        if context.environment is not None:
            await take_note(held, context.environment, self._shard, context.deadline)
        position = await held.read_position(self._left_s())
        await self._settle(held, self._first)
        return position

    async def _fetch(self, held: HeldConnection) -> Sequence[Row]:
        portal = self._portal
        if portal is None:
            raise AssertionError("a cursor that was not begun")
        rows = cast("Sequence[Row]", await portal.fetch(self._batch, timeout=self._left_s()))
        await self._settle(held, rows)
        return rows

    async def _settle(self, held: HeldConnection, rows: Sequence[Row]) -> None:
        """End the transaction behind the last rows, else work out how many come next."""
        if len(rows) == self._batch:
            measured = rows[::SAMPLE]
            row_bytes = sum(map(_size, measured)) // len(measured) + 1
            fitting = max(1, BATCH_BYTES // row_bytes)
            self._batch = min(fitting, len(rows) * GROWTH, WHOLE_ROWS)
            return
        end = commit_and_clean(held.role) if self._query.claims else COMMIT
        await held.execute(end, self._left_s())
        self.ended = True
        self._free(self._live.pool.give_back)
        served = self.served
        self._observe(
            StatementServed(
                served.shard,
                served.endpoint,
                replica=served.replica,
                write=False,
                seconds=self.spent_s,
            )
        )

    async def _step(self, work: Awaitable[_Result]) -> _Result:
        """Wait for the server. Whatever goes wrong, the connection is given back as it then is."""
        pool, held = self._live.pool, self._connection()
        put_back = pool.discard
        completed = False
        began = time.monotonic()
        self._running = True
        try:
            result = await work
            completed = True
        except DRIVER_ERRORS as error:
            failure = self._faults.noted(
                error, self._shard, self._live, held, self._context, read=True
            )
            if isinstance(failure, StatementFailed | PlanOutdated | UnitRefused):
                put_back = pool.tidy
            raise failure from error
        except (StatementFailed, DeadlineExceeded):  # before anything was sent
            put_back = pool.tidy
            raise
        finally:
            self._running = False
            self.spent_s += time.monotonic() - began
            if not completed:
                self._free(put_back)
        return result

    def _connection(self) -> HeldConnection:
        if self._held is None:
            raise AssertionError("the cursor has given its connection back")
        return self._held

    def _free(self, put_back: PutBack) -> None:
        held, self._held, self._portal = self._held, None, None
        if held is not None:
            put_back(held)
            self.freeing.close()

    def _left_s(self) -> float:
        """Time for one message: no more than the request had for its first batch."""
        return min(_left_s(self._until), self._pace_s)


def _leave(standing: Standing) -> None:
    standing.in_flight -= 1


def _left_s(deadline: Deadline) -> float:
    left_s = deadline.remaining_s()
    if left_s <= 0:
        raise DeadlineExceeded("the request's time ran out")
    return left_s


def _size(row: Sequence[object]) -> int:
    """About how many bytes a row holds."""
    return sum(len(value) if isinstance(value, str | bytes) else SMALL_BYTES for value in row)
