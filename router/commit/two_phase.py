"""Writes on several shards: prepared everywhere, decided by the first shard's commit.

All parts run first, in open transactions. Then all but the first are prepared; the first part
commits together with a row that says so, which is the decision; then the others commit what they
prepared. Before the decision any failure undoes everything, after it nothing does: recovery reads
the row. From PREPARE on the work belongs to a task of its own, which a leaving client does not end.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random

from router.backends import ShardReply, Together
from router.commit.decisions import Decisions
from router.commit.keeping import keep_unique
from router.commit.participant import Participant
from router.commit.parts import at_once, ran_together, surrounded
from router.commit.prepared import GlobalId
from router.commit.recovery import Recovery
from router.context import Deadline, QueryContext
from router.errors import (
    CommitOvertaken,
    CommitUnfinished,
    CommitUnknown,
    DeadlineExceeded,
    PrimaryAway,
    RouterError,
    ShardDown,
    StatementFailed,
)
from router.live.execution import Rows
from router.live.failures import EndpointLost, NotSent, PlanOutdated
from router.live.faults import Faults
from router.live.freshness import Position
from router.live.live_map import LiveMap
from router.live.readers import Readers
from router.live.retries import LONGEST_RETRY_PAUSE_S, stop_after
from router.live.writes import ATTEMPTS
from router.observe import CommitLost, Observer, StatementServed, Step, StepReached
from router.statement import Served
from router.tasks import TaskOwner
from shardmap import ShardId

PAUSE_S: Final = 0.05
"""Between attempts to commit what is decided, on a shard whose primary is away."""
DRAIN_S: Final = 2.0
"""For commits on their way when the process stops; an ordinary one takes milliseconds."""
_UNIQUE_VIOLATION: Final = "23505"

Outcome = list[Position | None]
"""Where each participant's WAL is durable; None: it has not committed yet, and will."""


class TwoPhase:
    """Runs writes on several shards, and raises the floors of all before it answers."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a commit on several shards is made of
        self,
        live: LiveMap,
        readers: Readers,
        faults: Faults,
        observe: Observer,
        owner: TaskOwner,
        decisions: Decisions,
        recovery: Recovery,
    ) -> None:
        self._live = live
        self._readers = readers
        self._faults = faults
        self._observe = observe
        self._owner = owner
        self._decisions = decisions
        self._recovery = recovery
        self._concluding: set[asyncio.Future[Outcome]] = set()

    async def drain(self) -> None:
        """Wait for the commits that are on their way, not for long: recovery ends the others."""
        if self._concluding:
            await asyncio.wait(self._concluding, timeout=DRAIN_S)

    async def run(self, write: Together, context: QueryContext) -> Sequence[ShardReply]:
        """The replies of the parts, after all of them are committed.

        What certainly was not run is begun again, as for one shard.
        """

        async def once() -> Sequence[ShardReply]:
            return await self._once(write, context)

        return await AsyncRetrying(
            retry=retry_if_exception_type((NotSent, PlanOutdated)),
            stop=stop_after(ATTEMPTS, context),
            wait=wait_random(0, LONGEST_RETRY_PAUSE_S),
            reraise=True,
        )(once)

    async def _once(self, write: Together, context: QueryContext) -> Sequence[ShardReply]:
        began = time.monotonic()
        seats: list[Participant] = []
        ran: list[Rows] = []
        taking_part = 0
        handed_over = False
        try:
            # One after the other: two writers never hold what the other one waits for.
            for part in write.parts:
                seats.append(await self.seated(part.shard, context))  # noqa: PERF401 - each one is left again
            ran = await ran_together(write, seats)
            taking_part = len(ran)
            environment = context.environment
            if environment is not None:
                await surrounded(write, seats[:taking_part], ran, environment)
            if write.unique:
                await keep_unique(
                    seats,
                    write.unique,
                    self._live.shard_map,
                    lambda shard: self.seated(shard, context),
                )
                taking_part = len(seats)
            if environment is not None and environment.rolled_back:
                return self._answered(write, seats[:taking_part], ran, began)
            outcome = self.start_commit(seats[:taking_part], context)
            handed_over = True
        finally:
            for seat in seats[taking_part:] if handed_over else seats:
                seat.leave()
        positions = await asyncio.shield(outcome)
        await self.raise_floors(seats[:taking_part], positions, context)
        return self._answered(write, seats[:taking_part], ran, began)

    async def seated(self, shard: ShardId, context: QueryContext) -> Participant:
        """A connection of the shard's primary that takes part; nothing is begun on it yet.

        Raises:
            NotSent: There is none to be had; all may be begun again.
            ShardUnavailable: The same, and it would not help.
            DeadlineExceeded: The request's time ran out.
        """
        group = self._live.groups.get(shard)
        if group is None:
            raise ShardDown(shard, f"the shard map in use has no shard {shard}")
        if context.deadline.remaining_s() <= 0:
            raise DeadlineExceeded("the request's time ran out")
        live = group.writer_at_once() or await group.writer(context.deadline)
        try:
            pool = live.sessions
            held = pool.take(context.role) or await self._faults.acquired(live, context, pool)
        except EndpointLost as error:
            raise NotSent(shard, error.message) from error
        return Participant(shard, live, held, context, self._faults)

    def start_commit(
        self, seats: Sequence[Participant], context: QueryContext
    ) -> "asyncio.Future[Outcome]":
        """The outcome of the commit, which goes on whether anybody waits for it or not.

        The seats are left when it is known. The first one's own transaction decides for all.

        Raises:
            ShardDown: The process is leaving; nothing was committed.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_taken_note_of)
        work = self._conclude(seats, context, outcome)
        if self._owner.start(work, name="commit on several shards") is None:
            raise ShardDown(seats[0].shard, "the server is stopping")
        self._concluding.add(outcome)
        outcome.add_done_callback(self._concluding.discard)
        return outcome

    async def _conclude(
        self,
        seats: Sequence[Participant],
        context: QueryContext,
        outcome: "asyncio.Future[Outcome]",
    ) -> None:
        failure: RouterError = CommitUnknown("the commit was interrupted")
        try:
            positions = await self._committed(seats, context)
        except RouterError as error:
            failure = error
        else:
            if not outcome.done():
                outcome.set_result(positions)
        finally:
            for seat in seats:
                seat.leave()
            if not outcome.done():
                outcome.set_exception(failure)

    async def _committed(self, seats: Sequence[Participant], context: QueryContext) -> Outcome:
        first, *others = seats
        if not others:
            await self._known(first, first.commit())
            return [await self._position(first, context.deadline)]
        cluster = self._live.shard_map.cluster_id
        gid = GlobalId.new(cluster, first.shard, context.role)
        self._recovery.in_flight.add(gid.transaction)
        try:
            self._reach(gid, Step.RAN)
            await self._prepared(gid, others)
            self._reach(gid, Step.DECIDING)
            await self._decided(gid, first, others, context)
            self._reach(gid, Step.DECIDED)
            positions = await self._finished(gid, first, others, context.deadline)
            if None not in positions:
                self._recovery.done(gid)
                self._reach(gid, Step.FINISHED)
            return positions
        finally:
            self._recovery.in_flight.discard(gid.transaction)

    async def _prepared(self, gid: GlobalId, others: Sequence[Participant]) -> None:
        """All others are prepared, or nobody is any more. None is interrupted by another's failure."""

        async def prepare(seat: Participant) -> RouterError | None:
            try:
                await seat.prepare(gid)
            except RouterError as error:
                return error
            self._reach(gid, Step.PREPARED)
            return None

        self._reach(gid, Step.PREPARING)
        failures = await at_once([prepare(seat) for seat in others])
        found = [failure for failure in failures if failure is not None]
        if found:
            ready = [
                seat for seat, failure in zip(others, failures, strict=True) if failure is None
            ]
            await self._undone(gid, ready)
            raise found[0]

    async def _decided(
        self,
        gid: GlobalId,
        first: Participant,
        others: Sequence[Participant],
        context: QueryContext,
    ) -> None:
        """The first part's commit, whose outcome is looked up when it is not known."""
        shards = (first.shard, *(seat.shard for seat in others))
        try:
            await first.decide(gid, shards)
        except CommitUnknown as error:
            first.leave()  # its place in the pool may be the one that asking takes
            if not await self._looked_up(gid, first, context.deadline):
                await self._undone(gid, others)
                raise PrimaryAway(first.shard, f"{error.message}; nothing was written") from error
        except StatementFailed as error:
            await self._undone(gid, others)
            if error.sqlstate == _UNIQUE_VIOLATION and error.table == "decision":
                raise CommitOvertaken(
                    first.shard, "the commit took too long, and was rolled back on every shard"
                ) from error
            raise
        except RouterError:
            await self._undone(gid, others)
            raise

    async def _looked_up(self, gid: GlobalId, first: Participant, deadline: Deadline) -> bool:
        """Whether the decision was made, as soon as the deciding shard can say so.

        Raises:
            CommitUnknown: It cannot within the request's time; recovery will ask it.
        """
        while deadline.remaining_s() > 0:
            try:
                return await self._decisions.settle(gid, deadline)
            except RouterError:
                await asyncio.sleep(min(PAUSE_S, max(0.0, deadline.remaining_s())))
        self._observe(CommitLost(first.shard, first.live.name))
        raise CommitUnknown(f"{first.live.name} was lost while it committed")

    async def _finished(
        self,
        gid: GlobalId,
        first: Participant,
        others: Sequence[Participant],
        deadline: Deadline,
    ) -> Outcome:
        return await at_once(
            [
                self._position(first, deadline),
                *(self._commit_prepared(gid, seat, deadline) for seat in others),
            ]
        )

    async def _commit_prepared(
        self, gid: GlobalId, seat: Participant, deadline: Deadline
    ) -> Position | None:
        with suppress(RouterError):
            await seat.commit_prepared(gid, deadline)
            self._reach(gid, Step.COMMITTED)
            return await seat.position(deadline)
        seat.leave()  # it is of no use any more: by way of whoever is the primary now
        while deadline.remaining_s() > 0:
            with suppress(RouterError):
                return await self._decisions.finish(seat.shard, gid, deadline, committed=True)
            await asyncio.sleep(min(PAUSE_S, max(0.0, deadline.remaining_s())))
        return None

    async def _position(self, seat: Participant, deadline: Deadline) -> Position | None:
        with suppress(RouterError):
            return await seat.position(deadline)
        while deadline.remaining_s() > 0:
            with suppress(RouterError):
                return await self._decisions.position(seat.shard, deadline)
            await asyncio.sleep(min(PAUSE_S, max(0.0, deadline.remaining_s())))
        return None

    async def _undone(self, gid: GlobalId, prepared: Sequence[Participant]) -> None:
        """Roll back what is prepared. What cannot be now, recovery rolls back: nobody decided."""

        async def undo(seat: Participant) -> None:
            with suppress(RouterError):
                await seat.roll_back_prepared(gid)

        await at_once([undo(seat) for seat in prepared])
        self._reach(gid, Step.UNDONE)

    async def _known(self, seat: Participant, commit: Awaitable[None]) -> None:
        try:
            await commit
        except CommitUnknown:
            self._observe(CommitLost(seat.shard, seat.live.name))
            raise

    async def raise_floors(
        self, seats: Sequence[Participant], positions: Outcome, context: QueryContext
    ) -> None:
        """Let the session see what was committed, before anybody hears of success.

        Raises:
            CommitUnfinished: A shard does not show it yet.
            CommitUnknown: A shard's part was committed on a timeline that was left behind.
        """
        late: list[ShardId] = []
        for seat, position in zip(seats, positions, strict=True):
            if position is None:
                late.append(seat.shard)
                continue
            group = self._live.groups.get(seat.shard)
            if group is not None and group.left_behind(position):
                self._observe(CommitLost(seat.shard, seat.live.name))
                raise CommitUnknown(
                    f"{seat.live.name} committed after another server had been promoted"
                )
            await self._readers.wrote(seat.shard, context, position)
        if late:
            raise CommitUnfinished(
                f"the write is committed, and shard {', '.join(late)} does not show it yet"
            )

    def _answered(
        self, write: Together, seats: Sequence[Participant], ran: Sequence[Rows], began: float
    ) -> Sequence[ShardReply]:
        seconds = time.monotonic() - began
        replies = []
        for seat, rows in zip(seats, ran, strict=False):  # who only keeps values gave no rows
            name = seat.live.name
            self._observe(
                StatementServed(seat.shard, name, replica=False, write=True, seconds=seconds)
            )
            served = Served(seat.shard, name, replica=False)
            replies.append(ShardReply(rows.rows, rows.affected, rows.columns, served))
        return replies[:1] if write.copied is not None else replies

    def _reach(self, gid: GlobalId, step: Step) -> None:
        self._observe(StepReached(gid.transaction, step))


def _taken_note_of(outcome: "asyncio.Future[Outcome]") -> None:
    """Retrieve the failure, so that a caller who left leaves no unheard error behind."""
    if not outcome.cancelled():
        outcome.exception()
