"""Work under a key: what it writes, on whatever shards, commits together with what it is answered.

The key's home is part of every such commit, and its own transaction decides it. So the record is
there if and only if the write is, whoever was lost meanwhile: repeating a request whose outcome
nobody knew gives the first one's answer, or does it now.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random

from router.backend_settings import BackendSettings
from router.backends import (
    Access,
    Backends,
    ShardQuery,
    ShardReads,
    ShardReply,
    ShardRows,
    ShardTransaction,
    Together,
)
from router.commit.keeping import keep_unique
from router.commit.participant import Participant, Phase
from router.commit.parts import ran_together, surrounded
from router.commit.two_phase import TwoPhase
from router.commit.write_keys import (
    FORGET,
    KEEP,
    LOCK,
    LOOK_UP,
    MARK,
    MOST_FORGOTTEN,
    UNDO,
    check_alone,
    home_of,
    kept_answer,
    lock_of,
)
from router.context import SERVICE_ROLE, Deadline, QueryContext
from router.description import Description
from router.errors import PoolTimeout, RouterError, RowCountUnexpected, WriteKeyInUse
from router.fences import Entries, entries_of
from router.live.execution import Rows, left_s
from router.live.failures import NotSent, PlanOutdated
from router.live.live_map import LiveMap
from router.live.preamble import as_login, as_role
from router.live.readers import Readers
from router.live.retries import LONGEST_RETRY_PAUSE_S, stop_after
from router.live.writes import ATTEMPTS
from router.observe import AnswerRepeated, Observer, StatementServed
from router.statement import Served
from router.transaction_options import Isolation, TransactionOptions
from router.write_key import Outcome, WriteKey
from shardmap import ShardId

FORGETTING_INTERVAL_S: Final = 300.0
"""Between two searches for expired records. Each is a look into an index when there are none."""
FORGETTING_S: Final = 10.0

Work = Callable[[Backends], Awaitable[Outcome]]


class WriteKeys:
    """Does work under keys, once."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a commit is made of
        self,
        plain: Backends,
        live: LiveMap,
        two_phase: TwoPhase,
        readers: Readers,
        settings: BackendSettings,
        observe: Observer,
    ) -> None:
        self._plain = plain
        self._live = live
        self._two_phase = two_phase
        self._readers = readers
        self._settings = settings
        self._observe = observe
        self._places: defaultdict[ShardId, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(max(1, settings.max_connections // 2))
        )

    async def once(self, key: WriteKey, context: QueryContext, work: Work) -> bytes | None:
        """Do the work, unless it was done: then the answer that it had.

        What certainly was not run is begun again, so the work may be asked for several times.

        Raises:
            WriteKeyRefused: The key is another request's, or this one's that is still running.
            RouterError: The work failed; nothing of it remains, or `CommitUnknown`.
        """

        async def once() -> bytes | None:
            return await self._once(key, context, work)

        return await AsyncRetrying(
            retry=retry_if_exception_type((NotSent, PlanOutdated)),
            stop=stop_after(ATTEMPTS, context),
            wait=wait_random(0, LONGEST_RETRY_PAUSE_S),
            reraise=True,
        )(once)

    async def _once(self, key: WriteKey, context: QueryContext, work: Work) -> bytes | None:
        home = home_of(key.key, context.tenant, self._live.shard_map)
        async with self._place(home, context):
            return await self._at_home(home, key, context, work)

    @asynccontextmanager
    async def _place(self, home: ShardId, context: QueryContext) -> AsyncIterator[None]:
        """A place among those who hold a connection of the shard while they need others.

        They never hold more than half, so that there is always one to be had for what they do.
        """
        places = self._places[home]
        timeout_s = min(self._settings.acquire_timeout_s, left_s(context.deadline))
        try:
            async with asyncio.timeout(timeout_s):
                await places.acquire()
        except TimeoutError as error:
            raise PoolTimeout(
                home, f"no connection of {home} for a request with a key within {timeout_s:.3g} s"
            ) from error
        try:
            yield
        finally:
            places.release()

    async def _at_home(
        self, home: ShardId, key: WriteKey, context: QueryContext, work: Work
    ) -> bytes | None:
        seat = await self._two_phase.seated(home, context)
        keyed = KeyedBackends(
            self._plain, self._live, self._two_phase, self._observe, context, seat,
            lambda isolation: self._claimed(seat, key, context, isolation),
        )  # fmt: skip
        try:
            answer = await self._claimed(seat, key, context)
            if answer is not None:
                position = await seat.position(context.deadline)
                await self._readers.wrote(home, context, position)
                self._observe(AnswerRepeated(home))
                return answer
            outcome = await work(keyed)
            await keyed.conclude(key, outcome)
        finally:
            keyed.leave()
        return None

    async def _claimed(
        self, seat: Participant, key: WriteKey, context: QueryContext, isolation: str = ""
    ) -> bytes | None:
        """Open the transaction and take the key's lock; the answer that is kept, if there is one.

        The lock comes first, in a statement of its own: what was committed by whoever had it is
        then seen by the second, at read committed. At other levels keeping the answer fails (40001).
        """
        tenant = context.tenant
        entries = () if tenant is None else entries_of(self._live.shard_map, tenant)
        await seat.open(isolation, entries)  # the record belongs to the tenant, and moves with it
        check_alone(await seat.ask(LOCK, (lock_of(key.key),)))
        rows = await seat.ask(LOOK_UP, (key.key, self._settings.write_keys_kept_s))
        if not rows:
            await seat.tell(f"{as_role(context.role)}; {MARK}")
            return None
        await seat.end()  # the lock is free before anybody hears of it
        return kept_answer(rows[0], key)

    async def forget(self) -> None:
        """Remove expired records, for ever; the owner cancels."""
        while True:
            await asyncio.sleep(FORGETTING_INTERVAL_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            for shard in self._live.shard_map.shards:
                with suppress(RouterError):  # it is tried again; what has expired is not found
                    await self.forget_expired(shard)

    async def forget_expired(self, shard: ShardId) -> int:
        """Remove a shard's expired records; how many they were.

        Raises:
            RouterError: They may still be there.
        """
        forgotten = 0
        while True:
            context = QueryContext(SERVICE_ROLE, None, "", "{}", Deadline.after(FORGETTING_S))
            seat = await self._two_phase.seated(shard, context)
            try:
                await seat.open()
                found = len(await seat.ask(FORGET, (self._settings.write_keys_kept_s,)))
                await seat.commit()
            finally:
                seat.leave()
            forgotten += found
            if found < MOST_FORGOTTEN:
                return forgotten


class KeyedBackends:
    """The backends as the work under one key sees them: what it writes stays open until the end.

    Reads go where they always go, unless their shard was written. Used by one caller at a time.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        plain: Backends,
        live: LiveMap,
        two_phase: TwoPhase,
        observe: Observer,
        context: QueryContext,
        home: Participant,
        claim: Callable[[str], Awaitable[bytes | None]],
    ) -> None:
        self._plain = plain
        self._live = live
        self._two_phase = two_phase
        self._observe = observe
        self._context = context
        self._home = home
        self._claim = claim
        self._seats = {home.shard: home}
        self._written: set[ShardId] = set()
        self._handed_over = False

    async def run(self, shard: ShardId, query: ShardQuery, context: QueryContext) -> ShardReply:
        """The shard's answer."""
        if query.access is Access.READ and shard not in self._written:
            return await self._plain.run(shard, query, context)
        return await self.run_part(shard, query)

    async def run_part(self, shard: ShardId, query: ShardQuery) -> ShardReply:
        """The answer to a statement in the open transaction of the shard."""
        began = time.monotonic()
        seat = await self._seat(shard)
        self._written.add(shard)
        rows = await seat.run(query, None)
        await seat.take_note()
        if query.inline_position:
            rows = Rows([row[:-2] for row in rows.rows], rows.affected, rows.columns[:-2])
        if query.exactly is not None and rows.affected != query.exactly:
            raise RowCountUnexpected(query.exactly, rows.affected)
        if self._context.environment is not None:
            self._context.environment.check_rows(rows.affected)
        return self._reply(seat, rows, began)

    async def run_together(self, write: Together, _: QueryContext) -> Sequence[ShardReply]:
        """The replies of the parts; they are committed later."""
        began = time.monotonic()
        seats = [await self._seat(part.shard) for part in write.parts]
        self._written.update(part.shard for part in write.parts)
        ran = await ran_together(write, seats)
        if self._context.environment is not None:
            await surrounded(write, seats[: len(ran)], ran, self._context.environment)
        if write.unique:
            keeping = seats[: len(ran)]
            await keep_unique(keeping, write.unique, self._live.shard_map, self._seat)
        replies = [self._reply(seat, rows, began) for seat, rows in zip(seats, ran, strict=False)]
        return replies[:1] if write.copied is not None else replies

    async def begin(
        self,
        shard: ShardId,
        context: QueryContext,
        options: TransactionOptions,
        entries: Entries = (),
    ) -> ShardTransaction:
        """A transaction on the shard, which is a part of ours."""
        if options.read_only:
            return await self._plain.begin(shard, context, options, entries)
        seat = await self._seat(shard)
        if options.isolation is not Isolation.READ_COMMITTED:
            await self._begin_anew(seat, options.isolation.value)
        return _Part(self, shard)

    async def _begin_anew(self, seat: Participant, isolation: str) -> None:
        if seat is not self._home:
            await seat.open(isolation)
            await seat.tell(as_role(self._context.role))
            return
        await seat.end()
        if await self._claim(isolation) is not None:
            raise WriteKeyInUse  # somebody was faster: the next one gets the answer

    async def describe(
        self, shard: ShardId, sql: str, access: Access, context: QueryContext
    ) -> Description:
        """What a statement takes and gives on the shard; it is not run."""
        return await self._plain.describe(shard, sql, access, context)

    async def open(
        self, shard: ShardId, query: ShardQuery, context: QueryContext, until: Deadline
    ) -> ShardRows:
        """The rows of a read, from a cursor."""
        return await self._plain.open(shard, query, context, until)

    def snapshot(
        self, shards: Sequence[ShardId], context: QueryContext
    ) -> AbstractAsyncContextManager[ShardReads]:
        """The shards at one moment."""
        return self._plain.snapshot(shards, context)

    async def once(self, _key: WriteKey, _context: QueryContext, _work: Work) -> bytes | None:
        """Nothing: work under a key has no work under another key in it."""
        raise AssertionError("one request has one key")

    async def conclude(self, key: WriteKey, outcome: Outcome) -> None:
        """Keep the answer, and commit; or neither.

        A failure that no statement has met is not kept: who mends the request may use its key.

        Raises:
            CommitUnknown: It may be committed or not; repeating the request will tell.
            CommitUnfinished: It is, and a shard does not show it yet.
            RouterError: Nothing is committed.
        """
        answer = outcome.answer
        if answer is None or (outcome.undone and not self._written):
            if self._home.phase is Phase.RAN:
                await self._home.end()
            return
        taking_part = [self._home]
        if outcome.undone:
            if self._home.phase not in {Phase.RAN, Phase.FAILED}:
                return  # the connection is of no use any more
            await self._home.tell(UNDO)
        else:
            taking_part += [
                self._seats[shard]
                for shard in sorted(self._seats)
                if shard != self._home.shard and self._seats[shard].phase is Phase.RAN
            ]
        await self._home.tell(as_login())
        tenant = self._context.tenant
        await self._home.ask(KEEP, (key.key, tenant, key.target, key.content, answer))
        await self._home.tell(as_role(self._context.role))
        for seat in self._seats.values():
            if seat not in taking_part:
                seat.leave()
        committed = self._two_phase.start_commit(taking_part, self._context)
        self._handed_over = True
        positions = await asyncio.shield(committed)
        await self._two_phase.raise_floors(taking_part, positions, self._context)

    def leave(self) -> None:
        """Free what it holds; what is not committed is rolled back."""
        if not self._handed_over:
            for seat in self._seats.values():
                seat.leave()

    async def _seat(self, shard: ShardId) -> Participant:
        seat = self._seats.get(shard)
        if seat is None:
            seat = self._seats[shard] = await self._two_phase.seated(shard, self._context)
        return seat

    def _reply(self, seat: Participant, rows: Rows, began: float) -> ShardReply:
        seconds, name = time.monotonic() - began, seat.live.name
        self._observe(StatementServed(seat.shard, name, replica=False, write=True, seconds=seconds))
        served = Served(seat.shard, name, replica=False)
        return ShardReply(rows.rows, rows.affected, rows.columns, served)


class _Part:
    """A transaction within the work under a key: it ends with the work."""

    def __init__(self, keyed: KeyedBackends, shard: ShardId) -> None:
        self._keyed = keyed
        self._shard = shard

    async def run(self, query: ShardQuery, _: Deadline) -> ShardReply:
        """One statement's answer."""
        return await self._keyed.run_part(self._shard, query)

    async def commit(self, _: Deadline) -> None:
        """Nothing yet."""

    def leave(self) -> None:
        """Nothing yet."""
