"""The backends on real PostgreSQL: everything that waits, opened and closed as one thing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Final, Self

from router.backend_settings import BackendSettings
from router.backends import Access, Backends, ShardQuery, ShardReply, ShardRows, Together
from router.catalogue.documented import Documentation
from router.catalogue.documenting import Documenting
from router.catalogue.known_schema import KnownSchema
from router.commit.decisions import Decisions
from router.commit.keyed import WriteKeys
from router.commit.recovery import Recovery
from router.commit.snapshots import Snapshot, Snapshots
from router.commit.two_phase import TwoPhase
from router.context import Deadline, QueryContext
from router.description import Description
from router.errors import ShardDown
from router.fences import Entries, Fences
from router.live.confirming import Confirmations
from router.live.cursors import Cursors
from router.live.describing import Descriptions
from router.live.discovery import Discovery
from router.live.evidence import ask
from router.live.exchange import FloorExchange
from router.live.faults import Faults
from router.live.freshness import Floors
from router.live.known_fences import check_home
from router.live.live_map import LiveMap
from router.live.opening import LoginSource
from router.live.readers import Readers
from router.live.reads import Reads
from router.live.shard_status import ShardStatus
from router.live.shards import ShardEndpoints
from router.live.transactions import OpenTransaction, Transactions
from router.live.writes import Writes
from router.observe import Observer
from router.schema import Schema
from router.tasks import TaskOwner
from router.transaction_options import TransactionOptions
from router.write_key import Outcome, WriteKey
from shardmap import ShardId, ShardMap

FENCES_S: Final = 0.5
"""For the probe that reads a shard's fences anew."""


class PostgresBackends:
    """Runs statements on the endpoints of a shard map; `Backends` for real.

    Open it as a context: it connects and probes in the background, and an endpoint that is down
    does not keep it from opening. The shard id `catalog` addresses the catalog's endpoints.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what backends are made of
        self,
        shard_map: ShardMap,
        settings: BackendSettings,
        login: LoginSource,
        floors: Floors,
        observe: Observer,
        exchange: FloorExchange | None = None,
    ) -> None:
        self._owner = TaskOwner()
        self._exit = AsyncExitStack()
        self._live = LiveMap(
            shard_map, settings, login, self._owner, observe, forgetful=exchange is None
        )
        self._discovery = Discovery(self._live, settings, login, observe)
        self._discover = settings.discover
        self._bare = settings.bare
        self._schema = KnownSchema(self._live, settings, self._owner, observe)
        self._documenting = Documenting(self._live, settings)
        faults = Faults(settings, observe, self._schema.refresh_later)
        confirmations = Confirmations(settings, faults, self._owner)
        readers = Readers(settings, self._live, floors, exchange, confirmations, observe)
        self._reads = Reads(settings, readers, faults, observe)
        self._cursors = Cursors(settings, readers, faults, observe)
        self._writes = Writes(readers, faults, observe)
        decisions = Decisions(lambda: self._live.groups)
        self._recovery = Recovery(self._live, decisions, settings, observe)
        self._two_phase = TwoPhase(
            self._live, readers, faults, observe, self._owner, decisions, self._recovery
        )
        self._write_keys = WriteKeys(self, self._live, self._two_phase, readers, settings, observe)
        self._descriptions = Descriptions(faults)
        self._transactions = Transactions(readers, faults, observe)
        self._snapshots = Snapshots(self._transactions)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._owner)
            opening.callback(self._live.close)
            self._live.open()
            await self._live.probed()
            await self._schema.open()
            if not self._bare:
                self._owner.start(self._recovery.keep(), name="recover transactions")
                self._owner.start(self._write_keys.forget(), name="forget write keys")
            if self._discover:
                self._owner.start(self._discovery.keep(), name="discover replicas")
            opening.push_async_callback(self._two_phase.drain)
            self._exit = opening.pop_all()
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.__aexit__(exception_type, exception, traceback)

    async def run(self, shard: ShardId, query: ShardQuery, context: QueryContext) -> ShardReply:
        """The shard's answer: a read may be tried on several endpoints, a write is sent once.

        Raises:
            ShardUnavailable: Nobody can answer now; nothing was written.
            DeadlineExceeded: The request's time ran out; a write was rolled back.
            CommitUnknown: The outcome of a write cannot be known.
            StatementFailed: PostgreSQL refused the statement.
            RowCountUnexpected: The statement gave another number of rows than asked for.
        """
        group = self._group(shard)
        if query.access is Access.READ:
            if group.fences.away:
                check_home(shard, group.fences, query.entries, context)
            return await self._reads.run(group, query, context)
        return await self._writes.run(group, query, context)

    async def open(
        self, shard: ShardId, query: ShardQuery, context: QueryContext, until: Deadline
    ) -> ShardRows:
        """The shard's answer to a read, as rows that are fetched when they are asked for.

        Raises:
            ShardUnavailable: Nobody can answer now.
            DeadlineExceeded: The request's time ran out.
            StatementFailed: PostgreSQL refused the statement.
        """
        group = self._group(shard)
        check_home(shard, group.fences, query.entries, context)
        return await self._cursors.open(group, query, context, until)

    def snapshot(
        self, shards: Sequence[ShardId], context: QueryContext
    ) -> AbstractAsyncContextManager[Snapshot]:
        """One snapshot of the shards, on their primaries; its reads are done when it is left.

        Raises:
            SnapshotBusy: A write on several shards did not end in time.
            ShardUnavailable: A shard has no primary.
            DeadlineExceeded: The request's time ran out.
        """
        return self._snapshots.taken([self._group(shard) for shard in shards], context)

    async def run_together(self, write: Together, context: QueryContext) -> Sequence[ShardReply]:
        """The parts' replies, all of them committed. Sent once.

        Raises:
            ShardUnavailable: Some shard cannot take part now; nothing was written anywhere.
            DeadlineExceeded: The request's time ran out; everything was rolled back.
            CommitUnknown: Whether all or nothing is written cannot be known yet.
            CommitUnfinished: All of it is written, and some shard does not show it yet.
            StatementFailed: A shard's PostgreSQL refused its part.
            RowCountUnexpected: The parts together gave another number of rows than asked for.
        """
        return await self._two_phase.run(write, context)

    async def once(
        self, key: WriteKey, context: QueryContext, work: Callable[[Backends], Awaitable[Outcome]]
    ) -> bytes | None:
        """Do work whose writes commit together with its answer; or the answer it had before.

        Raises:
            WriteKeyRefused: The key is another request's, or this one's that is still running.
            RouterError: The work failed; nothing of it remains, or `CommitUnknown`.
        """
        return await self._write_keys.once(key, context, work)

    async def begin(
        self,
        shard: ShardId,
        context: QueryContext,
        options: TransactionOptions,
        entries: Entries = (),
    ) -> OpenTransaction:
        """A transaction on the shard's primary, to be left whatever happens.

        Raises:
            UnitRefused: A unit does not let it in.
            ShardUnavailable: There is no primary to begin it on.
            DeadlineExceeded: The request's time ran out.
        """
        group = self._group(shard)
        if options.read_only:
            check_home(shard, group.fences, entries, context)
        return await self._transactions.begin(group, context, options, entries)

    async def describe(
        self, shard: ShardId, sql: str, access: Access, context: QueryContext
    ) -> Description:
        """What a statement takes and gives on the shard; it is not run.

        Raises:
            StatementFailed: PostgreSQL does not understand it.
            ShardUnavailable: Nobody can be asked.
            DeadlineExceeded: The request's time ran out.
        """
        return await self._descriptions.of(self._group(shard), sql, access, context)

    async def adopt(self, shard_map: ShardMap) -> None:
        """Use another map from now on. Requests that run keep the endpoints they are on."""
        self._live.adopt(shard_map)
        await self._live.probed()
        self._schema.refresh_later()

    def _group(self, shard: ShardId) -> ShardEndpoints:
        group = self._live.groups.get(shard)
        if group is None:
            raise ShardDown(shard, f"the shard map in use has no shard {shard}")
        return group

    def status(self) -> tuple[ShardStatus, ...]:
        """Every shard with its endpoints at this moment, the catalog last."""
        return tuple(group.status() for group in self._live.groups.values())

    def fences(self) -> Fences:
        """The fences of all shards, as far as probes know them."""
        return self._live.fences()

    async def look_at_fences(self, shard: ShardId) -> None:
        """Let the shard's fences be known as they are now: something of them was just refused."""
        group = self._live.groups.get(shard)
        asked = ask(group) if group is not None else set()
        if asked:
            await asyncio.wait(asked, timeout=FENCES_S)

    def schema(self) -> Schema:
        """The schema as last read.

        Raises:
            ShardDown: It could not be read yet.
        """
        return self._schema.current()

    def schema_changed(self) -> None:
        """Read the schema anew soon: somebody says that it has changed."""
        self._schema.refresh_later()

    def prepare_with(self, preparing: Sequence[Callable[[Schema], None]]) -> None:
        """Call these with each new schema, in a thread, before it is given out."""
        self._schema.prepare_with(preparing)

    def expose(self, schemas: tuple[str, ...]) -> None:
        """Read these schemas for clients from now on, the first reading soon."""
        self._schema.expose(schemas)

    async def refresh_schema(self, *, now: bool = False) -> Schema:
        """The schema, read anew unless that was done within the last second.

        `now` insists on a reading that begins after this call.

        Raises:
            ShardDown: Nobody can be asked.
        """
        return await self._schema.refresh(now=now)

    async def documentation(self, role: str, deadline: Deadline) -> Documentation:
        """What the role is told of the tables and functions that it may use; read at each call.

        Raises:
            ShardUnavailable: Nobody can be asked.
            DeadlineExceeded: The time ran out.
        """
        return await self._documenting.read(role, deadline)
