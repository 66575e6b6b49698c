"""Open transactions on primaries: begun once, then statement by statement, and never half committed."""

import time
from enum import Enum, auto
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random

from router.backends import ShardQuery, ShardReply
from router.context import Deadline, QueryContext
from router.errors import (
    CommitUnknown,
    PrimaryAway,
    RouterError,
    RowCountUnexpected,
    StatementFailed,
    TransactionOver,
)
from router.fences import Entries, Entry
from router.live.connection import HeldConnection
from router.live.execution import (
    Rows,
    left_ms,
    left_s,
    run_statement,
    run_to_its_end,
    take_note,
)
from router.live.failures import (
    DRIVER_ERRORS,
    EndpointLost,
    NotSent,
    proves_rollback,
    says_read_only,
)
from router.live.faults import Faults
from router.live.live_endpoint import LiveEndpoint
from router.live.pools import EndpointPool
from router.live.preamble import OPEN_GATE, SHUT_GATE, as_role, commit_and_clean, entering
from router.live.readers import Readers
from router.live.retries import LONGEST_RETRY_PAUSE_S, stop_after
from router.live.shards import ShardEndpoints
from router.move_errors import UnitRefused
from router.observe import CommitLost, Observer, StatementServed
from router.statement import Served
from router.transaction_options import Isolation, TransactionOptions

SERIALIZATION_FAILURE: Final = "40001"
ATTEMPTS: Final = 3
"""How often a transaction is begun that did not get as far as its first statement."""


class State(Enum):
    """Where a transaction is, which says what must become of its connection."""

    SEATED = auto()
    """It has a connection, and is not begun."""
    OPENING = auto()
    OPEN = auto()
    RUNNING = auto()
    """A statement is on its way."""
    FAILED = auto()
    """PostgreSQL refused a statement or the commit: it only waits to be rolled back."""
    ENDING = auto()
    """COMMIT is on its way, and must not be cancelled."""
    DONE = auto()


class Transactions:
    """Begins transactions. Whoever gets one has to leave it, whatever happens."""

    def __init__(self, readers: Readers, faults: Faults, observe: Observer) -> None:
        self._readers = readers
        self._faults = faults
        self._observe = observe

    async def begin(
        self,
        group: ShardEndpoints,
        context: QueryContext,
        options: TransactionOptions,
        entries: Entries = (),
    ) -> "OpenTransaction":
        """A transaction on the primary, with role and claims. It ends with the context's time.

        Raises:
            ShardUnavailable: There is no primary to begin it on.
            DeadlineExceeded: The request's time ran out.
        """

        async def once() -> OpenTransaction:
            return await self._once(group, context, options, entries)

        return await AsyncRetrying(
            retry=retry_if_exception_type(NotSent),
            stop=stop_after(ATTEMPTS, context),
            wait=wait_random(0, LONGEST_RETRY_PAUSE_S),
            reraise=True,
        )(once)

    async def _once(
        self,
        group: ShardEndpoints,
        context: QueryContext,
        options: TransactionOptions,
        entries: Entries,
    ) -> "OpenTransaction":
        transaction = await self._seated(group, context, session=False)
        begun = False
        try:
            await transaction.begin(options, entries)
            begun = True
        finally:
            if not begun:
                transaction.leave()
        return transaction

    async def seated(self, group: ShardEndpoints, context: QueryContext) -> "OpenTransaction":
        """A session of the primary for a transaction that is not begun yet.

        Raises:
            NotSent: There is none to be had.
            SessionNeeded: There is no way to one.
            ShardUnavailable, DeadlineExceeded: As for `begin`.
        """
        return await self._seated(group, context, session=True)

    async def _seated(
        self, group: ShardEndpoints, context: QueryContext, *, session: bool
    ) -> "OpenTransaction":
        """`session`: what is done before the transaction has to hold in it."""
        left_s(context.deadline)
        live = group.writer_at_once() or await group.writer(context.deadline)
        try:
            pool = live.sessions if session else live.pool
            held = pool.take(context.role) or await self._faults.acquired(live, context, pool)
        except EndpointLost as error:
            raise NotSent(group.shard, error.message) from error
        return OpenTransaction(
            group, live, pool, held, context, self._readers, self._faults, self._observe
        )


class OpenTransaction:
    """One transaction on one held connection. Used by one caller at a time."""

    __slots__ = (
        "_context",
        "_entered",
        "_faults",
        "_group",
        "_held",
        "_left",
        "_live",
        "_observe",
        "_pool",
        "_readers",
        "_shard",
        "_state",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        group: ShardEndpoints,
        live: LiveEndpoint,
        pool: EndpointPool,
        held: HeldConnection,
        context: QueryContext,
        readers: Readers,
        faults: Faults,
        observe: Observer,
    ) -> None:
        self._group = group
        self._shard = group.shard
        self._pool = pool
        self._live = live
        self._held = held
        self._context = context
        self._readers = readers
        self._faults = faults
        self._observe = observe
        self._state = State.SEATED
        self._left = False
        self._entered: set[Entry] | None = None
        """What it has entered; None: it writes nothing."""
        live.standing.in_flight += 1

    async def begin(self, options: TransactionOptions, entries: Entries = ()) -> None:
        """Open it, and enter these units unless it only reads.

        Raises:
            NotSent: It is not open.
            UnitRefused: A unit does not let it in.
            RouterError: It is not open, for another reason.
        """
        if options.read_only:
            entries = ()
        else:
            self._entered = set(entries)
        deadline = self._context.deadline
        isolation = options.isolation
        self._state = State.OPENING
        message = self._held.begin(
            self._context,
            write=not options.read_only,
            timeout_ms=left_ms(deadline),
            isolation="" if isolation is Isolation.READ_COMMITTED else isolation.value,
            entries=entries,
        )
        try:
            await self._held.execute(message, left_s(deadline))
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        self._state = State.OPEN

    async def shut_gate(self) -> None:
        """Before it is begun: keep writes on several shards from preparing here, see `snapshots`.

        Raises:
            StatementFailed: 55P03, something is prepared, and did not end soon.
            RouterError: The connection is of no use.
        """
        self._state = State.RUNNING
        await self._told(SHUT_GATE)
        self._state = State.SEATED

    async def open_gate(self) -> None:
        """Let them go on.

        Raises:
            RouterError: The connection is of no use.
        """
        self._state = State.RUNNING
        await self._told(OPEN_GATE)
        self._state = State.OPEN

    async def _told(self, message: str) -> None:
        try:
            await self._held.execute(message, left_s(self._context.deadline))
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error

    async def run(self, query: ShardQuery, deadline: Deadline) -> ShardReply:
        """One statement's answer, as far as this transaction is concerned.

        Raises:
            TransactionOver: A statement before it failed.
            RouterError: It failed, and with it the transaction.
        """
        self._check_open()
        began = time.monotonic()
        self._state = State.RUNNING
        try:
            await self._enter(query.entries)
            rows = await run_statement(self._held, query, deadline)
            if self._context.environment is not None:
                await take_note(self._held, self._context.environment, self._shard, deadline)
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        if query.inline_position:
            rows = Rows([row[:-2] for row in rows.rows], rows.affected, rows.columns[:-2])
        self._state = State.FAILED
        if query.exactly is not None and rows.affected != query.exactly:
            raise RowCountUnexpected(query.exactly, rows.affected)
        self._state = State.OPEN
        self._observe(
            StatementServed(
                self._shard,
                self._live.name,
                replica=False,
                write=True,
                seconds=time.monotonic() - began,
            )
        )
        served = Served(self._shard, self._live.name, replica=False)
        return ShardReply(rows.rows, rows.affected, rows.columns, served)

    async def _enter(self, entries: Entries) -> None:
        """Enter what the transaction has not entered yet."""
        if self._entered is None or self._entered.issuperset(entries):
            return
        message = f"{entering(entries)}; {as_role(self._context.role)}"
        await self._held.execute(message, left_s(self._context.deadline))
        self._entered.update(entries)

    async def commit(self, deadline: Deadline) -> None:
        """Commit, and raise the session's floor before anybody hears of it.

        Raises:
            TransactionOver: A statement failed; everything is rolled back.
            CommitUnknown: It may be committed or not.
            RouterError: PostgreSQL refused the commit; everything is rolled back.
        """
        self._check_open()
        remaining_s = left_s(deadline)
        held = self._held
        self._state = State.ENDING
        held.abandonable = False
        committed = False
        try:
            await run_to_its_end(held, commit_and_clean(held.role), remaining_s)
            committed = True
            position = await held.written_position(deadline.remaining_s())
        except DRIVER_ERRORS as error:
            raise self._commit_meaning(error, committed=committed) from error
        except CommitUnknown:
            self._observe(CommitLost(self._shard, self._live.name))
            raise
        held.abandonable = True
        self._state = State.DONE
        if self._group.left_behind(position):
            self._observe(CommitLost(self._shard, self._live.name))
            raise CommitUnknown(
                f"{self._live.name} committed after another server had been promoted"
            )
        standing = self._live.standing
        await self._readers.wrote(self._shard, self._context, position)
        standing.lsn = max(standing.lsn, position.lsn)
        if position.timeline != standing.timeline:
            self._live.monitor.look_again()

    def leave(self) -> None:
        """Give the connection back; what is not committed is rolled back. Harmless when repeated."""
        if self._left:
            return
        self._left = True
        self._live.standing.in_flight -= 1
        pool = self._pool
        match self._state:
            case State.DONE:
                pool.give_back(self._held)
            case State.ENDING:
                pool.drop(self._held)
            case State.SEATED | State.OPEN | State.FAILED:
                pool.tidy(self._held)
            case State.OPENING | State.RUNNING:
                pool.discard(self._held)

    def _check_open(self) -> None:
        if self._state is not State.OPEN:
            raise TransactionOver(
                "a statement of the transaction has failed: nothing of it remains"
            )

    def _meaning(self, error: Exception) -> RouterError:
        """What a driver error means before COMMIT: nothing of the transaction remains."""
        opening = self._state is State.OPENING
        if opening and says_read_only(error):
            self._live.demoted()
            return NotSent(self._shard, f"{self._live.name} is no longer the primary")
        failure = self._noted(error)
        match failure:
            case EndpointLost() if opening:
                return NotSent(self._shard, failure.message)
            case EndpointLost():
                return PrimaryAway(self._shard, f"{failure.message}; nothing was written")
            case PrimaryAway():
                self._live.demoted()
            case StatementFailed(sqlstate=state) if opening and state == SERIALIZATION_FAILURE:
                self._state = State.FAILED
                return NotSent(self._shard, "a fence changed while the transaction began")
            case StatementFailed() if not opening:
                self._state = State.FAILED
            case UnitRefused():
                self._state = State.FAILED
        return failure

    def _commit_meaning(self, error: Exception, *, committed: bool) -> RouterError:
        """What a driver error means while it committed, or after that."""
        failure = self._noted(error)
        if committed or not proves_rollback(error):
            self._observe(CommitLost(self._shard, self._live.name))
            return CommitUnknown(f"{self._live.name} was lost while it committed")
        self._state = State.FAILED
        return failure

    def _noted(self, error: Exception) -> RouterError:
        return self._faults.noted(
            error, self._shard, self._live, self._held, self._context, read=False
        )
