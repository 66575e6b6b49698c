"""One shard's part in a commit on several: a connection of its primary, from BEGIN to the end.

The messages that prepare and commit are never cancelled, see `run_to_its_end`: PostgreSQL answers
a cancel of a wait for the standby with success.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

import asyncpg

from router.backends import ShardQuery
from router.commit.prepared import GlobalId
from router.commit.uniques import NOTES, NOTING, Step, says_taken, violation
from router.context import Deadline, QueryContext
from router.environment import ASKED, Told
from router.errors import CommitUnknown, DeadlineExceeded, PrimaryAway, RouterError
from router.fences import Entries, Entry
from router.live.connection import HeldConnection
from router.live.execution import Rows, left_ms, left_s, run_statement, run_to_its_end
from router.live.failures import (
    DRIVER_ERRORS,
    EndpointLost,
    NotSent,
    proves_rollback,
    says_ended,
    says_read_only,
)
from router.live.faults import Faults
from router.live.freshness import Position
from router.live.live_endpoint import LiveEndpoint
from router.live.preamble import (
    PASS_GATE,
    ROLLBACK,
    as_login,
    as_role,
    clean,
    commit_and_clean,
    entering,
    quote_literal,
    taking_turns,
)
from shardmap import ShardId

ROLLBACK_TIMEOUT_S: Final = 5.0
"""For ROLLBACK PREPARED of what is prepared on our own connection; recovery does it otherwise."""


class Phase(Enum):
    """How far a part has come, which says what must become of its connection."""

    SEATED = auto()
    BEGUN = auto()
    """BEGIN was sent."""
    RUNNING = auto()
    RAN = auto()
    FAILED = auto()
    """PostgreSQL refused the statement; the transaction only waits to be rolled back."""
    ENDING = auto()
    """A message is on its way that must not be cancelled."""
    OUT = auto()
    """Not in a transaction: it is prepared, or has ended."""
    LEFT = auto()
    """The connection is given back."""


class Participant:
    """A connection that takes part; `leave` gives it back whatever has happened to it."""

    __slots__ = ("_context", "_entered", "_faults", "held", "live", "phase", "shard")

    def __init__(
        self,
        shard: ShardId,
        live: LiveEndpoint,
        held: HeldConnection,
        context: QueryContext,
        faults: Faults,
    ) -> None:
        self.shard = shard
        self.live = live
        self.held = held
        self.phase = Phase.SEATED
        self._context = context
        self._faults = faults
        self._entered: set[Entry] = set()
        """The units that the open transaction is in."""
        live.standing.in_flight += 1

    async def run(self, query: ShardQuery, in_turn: str | None, *, noting: bool = False) -> Rows:
        """Run the statement, and leave its transaction open.

        `noting`: it writes globally unique columns, whose values will be kept.

        Raises:
            NotSent: It was not run; the whole write may be begun again.
            UnitRefused: A unit does not let it in.
            RouterError: It failed, and will be rolled back.
        """
        deadline = self._context.deadline
        opening = self.phase is Phase.SEATED
        messages = []
        if opening:
            messages.append(
                self.held.begin(
                    self._context, write=True, timeout_ms=left_ms(deadline), entries=query.entries
                )
            )
        elif not self._entered.issuperset(query.entries):
            messages += (entering(query.entries), as_role(self._context.role))
        if in_turn is not None:
            messages.append(taking_turns(in_turn))
        if noting:
            messages.append(NOTING)
        self.phase = Phase.BEGUN if opening else Phase.RUNNING
        try:
            if messages:
                await self.held.execute("; ".join(messages), left_s(deadline))
            self._entered.update(query.entries)
            self.phase = Phase.RUNNING
            rows = await run_statement(self.held, query, deadline)
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        self.phase = Phase.RAN
        return rows

    async def open(self, isolation: str = "", entries: Entries = ()) -> None:
        """Begin the transaction, as the login role and in these units, unless it is open.

        Raises:
            NotSent: It is not open; all may be begun again.
            UnitRefused: A unit does not let it in.
            RouterError: The same, for another reason.
        """
        if self.phase is not Phase.SEATED:
            return
        deadline = self._context.deadline
        message = self.held.begin(
            self._context,
            write=True,
            timeout_ms=left_ms(deadline),
            isolation=isolation,
            entries=entries,
        )
        self.phase = Phase.BEGUN
        try:
            await self.held.execute(f"{message}; {as_login()}", left_s(deadline))
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        self._entered.update(entries)
        self.phase = Phase.RAN

    async def ask(self, sql: str, args: Sequence[object]) -> Sequence[asyncpg.Record]:
        """The rows of a statement of our own, in the open transaction.

        Raises:
            RouterError: It failed, and with it the transaction.
        """
        self.phase = Phase.RUNNING
        try:
            records, _ = await self.held.fetch(sql, args, left_s(self._context.deadline))
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        self.phase = Phase.RAN
        return records

    async def tell(self, message: str) -> None:
        """Run messages of our own in the open transaction, which may have failed.

        Raises:
            RouterError: They failed, and with them the transaction.
        """
        self.phase = Phase.RUNNING
        try:
            await self.held.execute(message, left_s(self._context.deadline))
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        self.phase = Phase.RAN

    async def take_note(self) -> None:
        """Ask what code of users has told here, where the request's environment is to hear of it.

        Raises:
            RouterError: It failed, and with it the transaction.
        """
        environment = self._context.environment
        if environment is not None:
            ((status, headers),) = await self.ask(ASKED, ())
            environment.told[self.shard] = Told(status, headers)

    async def end(self) -> None:
        """Roll back what is open; the seat is as it was before it was begun.

        Raises:
            RouterError: The connection is of no use any more.
        """
        await self.tell(ROLLBACK)
        self._entered.clear()
        self.phase = Phase.SEATED

    async def notes(self) -> str | None:
        """What the statement noted of globally unique values.

        Raises:
            RouterError: They cannot be read; the write is rolled back.
        """
        ((found, _),) = await self.ask(NOTES, ())
        return None if found is None else str(found)

    async def keep(self, steps: Sequence[Step], entries: Entries) -> None:
        """Take and give back values that this shard keeps, in the transaction that commits them.

        `entries` are those of the slots that the values belong to.

        Raises:
            NotSent: The shard has no part yet and was not reached; all may be begun again.
            StatementFailed: 23505, when a value is another row's.
            RouterError: It failed, and will be rolled back.
        """
        deadline = self._context.deadline
        name = ""
        try:
            if self.phase is Phase.SEATED:
                self.phase = Phase.BEGUN
                message = self.held.begin(self._context, write=True, timeout_ms=left_ms(deadline))
                await self.held.execute(message, left_s(deadline))
            self.phase = Phase.RUNNING
            await self.held.execute(entering(entries), left_s(deadline))
            for step in steps:
                name = step.name
                await self.held.execute(step.sql, left_s(deadline))
            await self.held.execute(as_role(self._context.role), left_s(deadline))
        except DRIVER_ERRORS as error:
            failure = self._meaning(error)
            if says_taken(failure):
                raise violation(name) from error
            raise failure from error
        self.phase = Phase.RAN

    async def prepare(self, gid: GlobalId) -> None:
        """PREPARE TRANSACTION: from now on the shard keeps its part over any crash.

        Raises:
            RouterError: It is not prepared, or may be without anybody ever committing it.
        """
        self.phase = Phase.RUNNING
        try:
            await self.held.execute(PASS_GATE, left_s(self._context.deadline))
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        self.phase = Phase.RAN
        # PostgreSQL counts COMMIT PREPARED's wait for the standby as the statement's own time.
        message = (
            f"PREPARE TRANSACTION {quote_literal(str(gid))}; {clean(self.held.role)};"
            " SET statement_timeout = 0"
        )
        try:
            await self._end(message, left_s(self._context.deadline))
        except CommitUnknown as error:
            raise DeadlineExceeded(f"{self.live.name} did not prepare in time") from error
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error

    async def decide(self, gid: GlobalId, participants: tuple[ShardId, ...]) -> None:
        """Commit this part together with the decision that all parts are committed.

        Raises:
            CommitUnknown: It may be decided or not.
            RouterError: It is not decided, and cannot be any more.
        """
        shards = ", ".join(map(quote_literal, participants))
        await self._commit(
            f"{as_login()}; INSERT INTO fluxshard.decision (transaction, committed, participants)"  # noqa: S608 - literals of our own
            f" VALUES ({quote_literal(gid.transaction)}, true, ARRAY[{shards}]);"
            f" {as_role(self._context.role)}; {commit_and_clean(self.held.role)}"
        )

    async def commit(self) -> None:
        """Commit: nobody else has anything to commit.

        Raises:
            CommitUnknown: It may be committed or not.
            RouterError: It was rolled back.
        """
        await self._commit(commit_and_clean(self.held.role))

    async def commit_prepared(self, gid: GlobalId, deadline: Deadline) -> None:
        """COMMIT PREPARED. That somebody else was faster is success: it was decided.

        Raises:
            RouterError: It is not done, or that is not known; it has to be done again.
        """
        try:
            await self._end(f"COMMIT PREPARED {quote_literal(str(gid))}", left_s(deadline))
        except DRIVER_ERRORS as error:
            if not says_ended(error):
                raise self._meaning(error) from error
            self.phase = Phase.OUT

    async def roll_back_prepared(self, gid: GlobalId) -> None:
        """ROLLBACK PREPARED.

        Raises:
            RouterError: It is not done, or that is not known.
        """
        try:
            await self._end(f"ROLLBACK PREPARED {quote_literal(str(gid))}", ROLLBACK_TIMEOUT_S)
        except DRIVER_ERRORS as error:
            if not says_ended(error):
                raise self._meaning(error) from error
            self.phase = Phase.OUT

    async def position(self, deadline: Deadline) -> Position:
        """Up to where the shard's WAL is durable now.

        Raises:
            RouterError: It cannot be read.
        """
        try:
            position = await self.held.written_position(left_s(deadline))
        except DRIVER_ERRORS as error:
            raise self._meaning(error) from error
        standing = self.live.standing
        standing.lsn = max(standing.lsn, position.lsn)
        if position.timeline != standing.timeline:
            self.live.monitor.look_again()
        return position

    def leave(self) -> None:
        """Give the connection back; what is open in it is rolled back. Once: later calls do nothing."""
        if self.phase is Phase.LEFT:
            return
        self.live.standing.in_flight -= 1
        pool = self.live.sessions
        match self.phase:
            case Phase.SEATED:
                pool.give_back(self.held)
            case Phase.RAN | Phase.FAILED | Phase.OUT:
                pool.tidy(self.held)
            case Phase.ENDING:
                pool.drop(self.held)
            case Phase.BEGUN | Phase.RUNNING:
                pool.discard(self.held)
        self.phase = Phase.LEFT

    async def _commit(self, message: str) -> None:
        try:
            await self._end(message, left_s(self._context.deadline))
        except DRIVER_ERRORS as error:
            meaning = self._meaning(error)
            if not proves_rollback(error):
                raise CommitUnknown(f"{self.live.name} was lost while it committed") from error
            raise meaning from error

    async def _end(self, message: str, timeout_s: float) -> None:
        self.phase = Phase.ENDING
        self.held.abandonable = False
        await run_to_its_end(self.held, message, timeout_s)
        self.held.abandonable = True
        self.phase = Phase.OUT

    def _meaning(self, error: Exception) -> RouterError:
        """What a driver error means for a part that had come so far; never for COMMIT."""
        if self.phase is Phase.BEGUN and says_read_only(error):
            self.live.demoted()
            return NotSent(self.shard, f"{self.live.name} is no longer the primary")
        failure = self._faults.noted(
            error, self.shard, self.live, self.held, self._context, read=False
        )
        match failure:
            case EndpointLost() if self.phase is Phase.BEGUN:
                return NotSent(self.shard, failure.message)
            case EndpointLost():
                return PrimaryAway(self.shard, f"{failure.message}; nothing was written")
            case PrimaryAway():
                self.live.demoted()
        if (self.phase in {Phase.BEGUN, Phase.RUNNING} and not self.held.closed) or (
            self.phase is Phase.ENDING and proves_rollback(error)
        ):
            self.phase = Phase.FAILED
        return failure
