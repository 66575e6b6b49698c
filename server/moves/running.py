"""Moves as others ask for them: planned, run several at once, gone on with, undone."""

import asyncio
import os
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from server.author import author
from server.moves.border import first_of, foreign_errors
from server.moves.collisions import collisions
from server.moves.comparing import Difference
from server.moves.engine import Engine
from server.moves.enumerating import tenants_of_slots
from server.moves.errors import MoveError, MoveRefused, WrongState
from server.moves.journal import Journal
from server.moves.pinning import newest_map
from server.moves.preflight import inspect, tables_on
from server.moves.request import (
    ABORTABLE,
    ENDED,
    SLOTS_AT_ONCE,
    Abandoned,
    Limits,
    Move,
    MoveRequest,
    Progress,
    State,
)
from server.moves.sessions import Places
from server.moves.streams import backward_stream, forward_stream
from server.moves.verifying import differences
from shardmap import PinUnit, ShardId, ShardMap, SlotUnit, TenantId, Unit, unit_text

COPY_BYTES_PER_S = 20_000_000
"""For estimates only: what a copy of rows with a few indexes does on a small machine."""


@dataclass(frozen=True, slots=True)
class MovePlan:
    """One move before it is begun: what it would carry, and what is in its way."""

    units: tuple[Unit, ...]
    tenants: tuple[TenantId, ...]
    source: ShardId
    target: ShardId
    rows: int
    bytes: int
    problems: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it may take."""
        return 2.0 + self.bytes / COPY_BYTES_PER_S

    @property
    def title(self) -> str:
        """What would move."""
        match self.units:
            case (PinUnit(tenant),):
                return f"tenant {tenant}"
            case units:
                return f"{len(units)} slots with {len(self.tenants)} tenants"

    def document(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "moves": self.title,
            "units": [unit_text(unit) for unit in self.units],
            "tenants": list(self.tenants),
            "source": self.source,
            "target": self.target,
            "rows": self.rows,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 1),
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one move of several ended."""

    plan: MovePlan
    move: Move | None
    error: MoveError | None


Observe = Callable[[Progress], None]


class Moves:
    """The moves of one cluster, as an operator or a server carries them out."""

    def __init__(self, places: Places, limits: Limits | None = None) -> None:
        self.places = places
        self.limits = limits or Limits()
        self.author = author()
        self.journal = Journal(
            places,
            f"{self.author}:{os.getpid()}:{secrets.token_hex(4)}",
            lease_s=self.limits.lease_s,
        )

    async def plan(self, request: MoveRequest) -> tuple[MovePlan, ...]:
        """What the request would do, as moves of one tenant or of some slots each; nothing is changed.

        What is on the target already is left out.

        Raises:
            MoveRefused: There is no such shard, or what should move is elsewhere than it says.
            MoveAway: A shard does not answer.
        """
        with foreign_errors():
            return await self._plans(request)

    async def _plans(self, request: MoveRequest) -> tuple[MovePlan, ...]:
        shard_map = self.places.shard_map
        if request.target not in shard_map.shards:
            raise MoveRefused([f'there is no shard "{request.target}"'])
        plans = []
        for units, source in _batches(shard_map, request):
            if request.source is not None and source != request.source:
                names = ", ".join(unit_text(unit) for unit in units[:5])
                raise MoveRefused([f"{names}: at home on {source}, not on {request.source}"])
            if source == request.target:
                continue
            plans.append(await self._plan(units, source, request.target))
        return tuple(plans)

    async def _plan(self, units: tuple[Unit, ...], source: ShardId, target: ShardId) -> MovePlan:
        pinned = tuple(unit.tenant for unit in units if isinstance(unit, PinUnit))
        slots = tuple(unit.slot for unit in units if isinstance(unit, SlotUnit))
        tenants = pinned or await tenants_of_slots(self.places, source, slots)
        found = await inspect(self.places, source, target, tenants)
        busy = collisions(self.places.shard_map, units, await self.journal.unfinished())
        problems = (*busy, *found.problems, *_slots_refused(self.places.shard_map, slots))
        return MovePlan(
            units, tenants, source, target, sum(found.rows.values()), found.bytes, problems
        )

    async def begin(self, plan: MovePlan) -> Move:
        """The move in the journal.

        Raises:
            MoveRefused: The preflight found problems.
        """
        if plan.problems:
            raise MoveRefused(plan.problems)
        return await self.journal.add(
            units=plan.units,
            tenants=plan.tenants,
            source=plan.source,
            target=plan.target,
            max_pause_s=self.limits.max_pause_s,
            facts={"rows": plan.rows, "bytes": plan.bytes},
            author=self.author,
        )

    async def carry_out(self, move: int, observe: Observe, *, repair: bool = False) -> Move:
        """Go on with a move until it rests.

        Raises:
            MoveError: It cannot go on; see the classes.
        """
        if (await self.journal.one(move)).state in ENDED:
            return await self.journal.one(move)
        with foreign_errors():
            fresh = self.places.on(await newest_map(self.places))
        journal = self.journal.on(fresh)
        engine = Engine(fresh, journal, self.limits, observe, author=self.author)
        return await engine.carry_out(move, repair=repair)

    async def run(self, plans: Sequence[MovePlan], observe: Observe) -> tuple[Outcome, ...]:
        """Carry plans out, several at once within the limits; one that fails stops no other."""
        turns = _Turns(self.limits)
        outcomes: dict[int, Outcome] = {}

        async def one(number: int, plan: MovePlan) -> None:
            async with turns.of(plan.source, plan.target):
                move = None
                try:
                    move = await self.begin(plan)
                    outcomes[number] = Outcome(plan, await self.carry_out(move.id, observe), None)
                except MoveError as error:
                    outcomes[number] = Outcome(plan, move, error)

        try:
            async with asyncio.TaskGroup() as tasks:
                for number, plan in enumerate(plans):
                    tasks.create_task(one(number, plan))
        except ExceptionGroup as failures:
            raise first_of(failures) from None
        return tuple(outcomes[number] for number in sorted(outcomes))

    async def compare(self, move: int) -> tuple[tuple[Difference, ...], int]:
        """The rows that differ between both sides of a move, and how many rows there are.

        Raises:
            WrongState: There is no stream that would keep the sides alike.
        """
        found = await self.journal.one(move)
        if found.state is State.MOVED:
            stream = backward_stream(found)
        elif found.state in {State.CATCHING_UP, State.VERIFYING, State.VERIFIED, State.CUTOVER}:
            stream = forward_stream(found)
        else:
            raise WrongState(f"move {move} is {found.state}: one side has no rows to compare")
        with foreign_errors():
            tables = await tables_on(self.places, stream.origin)
            key_type = self.places.shard_map.key_type
            return await differences(self.places, stream, tables, found.tenants, key_type)

    async def resume(self, move: int, observe: Observe, *, repair: bool = False) -> Move:
        """Go on with a move that was paused, failed, or lost its process.

        Raises:
            MoveError: It cannot go on.
        """
        await self.journal.unpause(move)
        return await self.carry_out(move, observe, repair=repair)

    async def abort(self, move: int, observe: Observe) -> Move:
        """Undo a move before its cutover.

        Raises:
            WrongState: It is too late: roll it back instead.
        """
        found = await self.journal.one(move)
        await self.journal.ask(found, State.ABORTING, ABORTABLE | {State.ABORTING})
        ended = await self.carry_out(move, observe)
        if ended.state is not State.ABORTED:
            raise WrongState(f"move {move} was decided already: it is {ended.state}, roll it back")
        return ended

    async def rollback(self, move: int, observe: Observe) -> Move:
        """Bring what moved home again, with all that was written since.

        Raises:
            WrongState: It is not within its retention.
            WayBackLost: The stream back is gone.
        """
        found = await self.journal.one(move)
        allowed = frozenset({State.MOVED, State.ROLLING_BACK, State.RETURNING})
        if found.state is not State.RETURNING:
            await self.journal.ask(found, State.ROLLING_BACK, allowed)
        return await self.carry_out(move, observe)

    async def clean(self, move: int, observe: Observe) -> Move:
        """End the retention: no way back any more.

        Raises:
            WrongState: It has not moved yet.
        """
        found = await self.journal.one(move)
        await self.journal.ask(found, State.CLEANING, frozenset({State.MOVED, State.CLEANING}))
        return await self.carry_out(move, observe)

    async def abandoned(self) -> tuple[Abandoned, ...]:
        """Moves under way whose mover is gone, the urgent ones first."""
        return await self.journal.abandoned()

    async def expired(self, retention_s: float) -> tuple[int, ...]:
        """Moves that have been at their new home for longer than this."""
        return await self.journal.expired(retention_s)

    async def note_failure(self, move: int, note: str) -> None:
        """Write down why nobody should go on with a move blindly."""
        await self.journal.note_failure(move, note)


class _Turns:
    """Who may run: at most so many at once, and so many on each shard."""

    def __init__(self, limits: Limits) -> None:
        self._all = asyncio.Semaphore(limits.at_once)
        self._shards: dict[ShardId, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(limits.per_shard)
        )

    @asynccontextmanager
    async def of(self, *shards: ShardId) -> AsyncIterator[None]:
        """A turn on all of these shards, taken in one order so that nobody waits for ever."""
        first, second = sorted(shards)
        async with self._shards[first], self._shards[second], self._all:
            yield


def _batches(shard_map: ShardMap, request: MoveRequest) -> list[tuple[tuple[Unit, ...], ShardId]]:
    found: list[tuple[tuple[Unit, ...], ShardId]] = [
        ((PinUnit(tenant),), shard_map.owner(tenant)) for tenant in request.tenants
    ]
    by_home: dict[ShardId, list[Unit]] = defaultdict(list)
    for slot in sorted(request.slots):
        by_home[shard_map.slots[slot]].append(SlotUnit(slot))
    for home, units in by_home.items():
        found += [
            (tuple(units[start : start + SLOTS_AT_ONCE]), home)
            for start in range(0, len(units), SLOTS_AT_ONCE)
        ]
    return found


def _slots_refused(shard_map: ShardMap, slots: Sequence[int]) -> tuple[str, ...]:
    """Values of globally unique columns are kept by slot, and do not follow a slot yet."""
    if not slots:
        return ()
    return tuple(
        f"{table} has globally unique columns, whose values are kept by slot: move its tenants one by"
        " one instead"
        for table, placement in sorted(shard_map.tables.items())
        if getattr(placement, "global_unique", ())
    )


async def plan_move(
    shard_map: ShardMap, environ: Mapping[str, str], request: MoveRequest
) -> tuple[MovePlan, ...]:
    """What a request would do; see `Moves.plan`."""
    return await Moves(Places(shard_map, environ)).plan(request)


async def run_moves(
    shard_map: ShardMap,
    environ: Mapping[str, str],
    requests: Sequence[MoveRequest],
    limits: Limits,
    observe: Observe,
) -> tuple[Outcome, ...]:
    """Plan the requests, and carry all of their moves out; see `Moves.run`.

    Raises:
        MoveRefused: The preflight of any of them found problems; nothing was begun.
    """
    moves = Moves(Places(shard_map, environ), limits)
    plans = [plan for request in requests for plan in await moves.plan(request)]
    problems = [f"{plan.title}: {problem}" for plan in plans for problem in plan.problems]
    if problems:
        raise MoveRefused(problems)
    return await moves.run(plans, observe)
