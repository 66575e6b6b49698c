"""The journal in the catalog: moves, their transitions, and the lease of who carries one out."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Final

import asyncpg

from server.migrate.locks import LOCK as MIGRATION_LOCK
from server.moves.border import foreign_errors
from server.moves.collisions import collisions
from server.moves.errors import (
    LeaseLost,
    MoveAway,
    MoveBusy,
    MoveRefused,
    NoSuchMove,
    WrongState,
)
from server.moves.request import ENDED, PAUSABLE, RESTING, URGENT, Abandoned, Move, State
from server.moves.sessions import Places, Session
from shardmap import (
    CatalogSource,
    PinUnit,
    ShardId,
    SlotUnit,
    TenantId,
    Unit,
    read_unit,
    unit_text,
)

LEASE_S: Final = 8.0
"""How long a mover that is not heard of keeps others from going on with its move."""
MOST_NOTED: Final = 2000
"""Characters of a note: the text of an error may have a whole statement in it."""
LOCK: Final = 0x666C_7578_0010
SCRIPT: Final = files("server.moves").joinpath("journal.sql").read_text()

_PRESENT: Final = "SELECT pg_catalog.to_regclass('fluxshard.moves') IS NOT NULL"
_COLUMNS: Final = (
    "id, token, cluster_id, units, tenants, source, target, state, max_pause_s, paused, lease,"
    " facts::text AS facts, note, created_at, changed_at"
)
_ALL: Final = f"SELECT {_COLUMNS} FROM fluxshard.moves ORDER BY id DESC LIMIT $1"  # noqa: S608
_ONE: Final = f"SELECT {_COLUMNS} FROM fluxshard.moves WHERE id = $1"  # noqa: S608
_UNFINISHED: Final = (
    f"SELECT {_COLUMNS} FROM fluxshard.moves WHERE NOT state = ANY ($1) ORDER BY id"  # noqa: S608
)
_ABANDONED: Final = """\
SELECT id, state = ANY ($3) AS urgent FROM fluxshard.moves
WHERE NOT state = ANY ($1) AND NOT (paused AND state = ANY ($2))
    AND coalesce(held_until, created_at) < now() AND note = '' ORDER BY urgent DESC, id"""
_NO_MIGRATION: Final = "SELECT pg_catalog.pg_try_advisory_xact_lock_shared($1)"
_EXPIRED: Final = """\
SELECT id FROM fluxshard.moves
WHERE state = $1 AND changed_at < now() - pg_catalog.make_interval(secs => $2) ORDER BY id"""
_ADD: Final = f"""\
INSERT INTO fluxshard.moves
    (token, cluster_id, units, tenants, source, target, state, max_pause_s, facts, author, holder,
        held_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11,
    now() + pg_catalog.make_interval(secs => $12)) RETURNING {_COLUMNS}"""  # noqa: S608
"""Who adds it means to carry it out; if nothing is heard of that, others do."""
_TAKE: Final = f"""\
UPDATE fluxshard.moves SET lease = pg_catalog.nextval('fluxshard.move_leases'), holder = $2,
    held_until = now() + pg_catalog.make_interval(secs => $3), note = ''
WHERE id = $1 AND (held_until IS NULL OR held_until < now() OR holder = $2) RETURNING {_COLUMNS}"""  # noqa: S608
_KEEP: Final = """\
UPDATE fluxshard.moves SET held_until = now() + pg_catalog.make_interval(secs => $3)
WHERE id = $1 AND lease = $2 RETURNING paused"""
_GIVE_BACK: Final = """\
UPDATE fluxshard.moves SET held_until = now() - interval '1 s', holder = NULL, note = $3
WHERE id = $1 AND lease = $2"""
_STEP: Final = f"""\
UPDATE fluxshard.moves SET state = $3, facts = facts || $4::jsonb, changed_at = clock_timestamp(),
    held_until = CASE WHEN $3 = ANY ($6) THEN NULL
        ELSE now() + pg_catalog.make_interval(secs => $5) END
WHERE id = $1 AND lease = $2 RETURNING {_COLUMNS}"""  # noqa: S608
_LIST_TENANTS: Final = f"""\
UPDATE fluxshard.moves SET tenants = $3 WHERE id = $1 AND lease = $2 RETURNING {_COLUMNS}"""  # noqa: S608
_NOTE_STEP: Final = """\
INSERT INTO fluxshard.move_steps (move, state, lease, facts, note) VALUES ($1, $2, $3, $4::jsonb, $5)"""
_PAUSE: Final = """\
UPDATE fluxshard.moves SET paused = true WHERE id = $1 AND state = ANY ($2) RETURNING id"""
_UNPAUSE: Final = "UPDATE fluxshard.moves SET paused = false WHERE id = $1 RETURNING id"
_NOTE_FAILURE: Final = """\
UPDATE fluxshard.moves SET note = $2 WHERE id = $1 AND note = '' AND held_until < now()"""
_ASK: Final = """\
UPDATE fluxshard.moves SET state = $2, paused = false, note = '', changed_at = clock_timestamp(),
    lease = pg_catalog.nextval('fluxshard.move_leases'), holder = NULL, held_until = now()
WHERE id = $1 AND state = ANY ($3) RETURNING id"""
"""Whoever carries it out loses the lease, so that nobody writes another state over this one."""
_STEPS: Final = """\
SELECT state, lease, facts::text AS facts, note, at FROM fluxshard.move_steps
WHERE move = $1 ORDER BY id"""


class Journal:
    """Reads and writes the journal. Each call is a session of its own: they are rare."""

    def __init__(self, places: Places, holder: str, *, lease_s: float = LEASE_S) -> None:
        self._places = places
        self._holder = holder
        self.lease_s = lease_s

    def on(self, places: Places) -> "Journal":
        """The same journal and the same holder, by a newer map."""
        return Journal(places, self._holder, lease_s=self.lease_s)

    @asynccontextmanager
    async def _catalog(self) -> AsyncIterator[Session]:
        with foreign_errors():
            async with self._places.catalog() as session:
                yield session

    async def add(  # noqa: PLR0913 - the columns of its row
        self,
        *,
        units: tuple[Unit, ...],
        tenants: tuple[TenantId, ...],
        source: ShardId,
        target: ShardId,
        max_pause_s: float,
        facts: Mapping[str, Any],
        author: str,
    ) -> Move:
        """A new move, planned; its number is in the names of what it will make.

        The map is held until it is there: who changes pins or moves tenants of these units came
        before, and is seen here, or comes after, and sees the move.

        Raises:
            MoveRefused: Somebody migrates, or what should move is in another move; who begins to
                after this sees the move.
            MoveAway: There is no map.
        """
        async with self._catalog() as session:
            await install(session)
            async with session.transaction():
                if not await session.fetchval(_NO_MIGRATION, MIGRATION_LOCK):
                    raise MoveRefused(["a migration is under way: tables change"])
                shard_map = await CatalogSource(session).newest_held()
                if shard_map is None:
                    raise MoveAway("no map has been applied")
                busy = collisions(shard_map, units, await _unfinished(session))
                if busy:
                    raise MoveRefused(busy)
                row = await session.fetchrow(
                    _ADD,
                    secrets.token_hex(5),
                    self._places.shard_map.cluster_id,
                    [unit_text(unit) for unit in units],
                    list(tenants),
                    source,
                    target,
                    State.PLANNED.value,
                    max_pause_s,
                    json.dumps(facts),
                    author,
                    self._holder,
                    self.lease_s,
                )
                move = _move(row)
                await session.execute(_NOTE_STEP, move.id, move.state.value, 0, "{}", "")
            return move

    async def all(self, limit: int = 1000) -> tuple[Move, ...]:
        """Every move, the newest first."""
        async with self._catalog() as session:
            if not await session.fetchval(_PRESENT):
                return ()
            return tuple(_move(row) for row in await session.fetch(_ALL, limit))

    async def unfinished(self) -> tuple[Move, ...]:
        """Moves that have not ended, those within their retention included, the oldest first."""
        async with self._catalog() as session:
            if not await session.fetchval(_PRESENT):
                return ()
            return await _unfinished(session)

    async def abandoned(self) -> tuple[Abandoned, ...]:
        """Moves under way whose mover is gone: nobody has said why they stopped. Urgent ones first.

        Those that wait in a queue are abandoned, too, when nothing is heard of who began them.
        """
        async with self._catalog() as session:
            if not await session.fetchval(_PRESENT):
                return ()
            states = [[one.value for one in group] for group in (RESTING, PAUSABLE, URGENT)]
            rows = await session.fetch(_ABANDONED, *states)
            return tuple(Abandoned(row["id"], urgent=row["urgent"]) for row in rows)

    async def expired(self, retention_s: float) -> tuple[int, ...]:
        """Moves that have been at their new home for longer than this."""
        async with self._catalog() as session:
            if not await session.fetchval(_PRESENT):
                return ()
            rows = await session.fetch(_EXPIRED, State.MOVED.value, retention_s)
            return tuple(row["id"] for row in rows)

    async def one(self, move: int) -> Move:
        """One move.

        Raises:
            NoSuchMove: There is none of that number.
        """
        async with self._catalog() as session:
            row = None
            if await session.fetchval(_PRESENT):
                row = await session.fetchrow(_ONE, move)
            if row is None:
                raise NoSuchMove(f"there is no move {move}")
            return _move(row)

    async def steps(self, move: int) -> tuple[dict[str, Any], ...]:
        """The transitions of a move, the first one first."""
        async with self._catalog() as session:
            rows = await session.fetch(_STEPS, move)
        return tuple(
            {
                "state": row["state"],
                "lease": row["lease"],
                "facts": json.loads(row["facts"]),
                "note": row["note"],
                "at": row["at"].isoformat(),
            }
            for row in rows
        )

    async def take(self, move: int) -> Move:
        """The move under a new lease, for this process alone.

        Raises:
            NoSuchMove: There is none of that number.
            MoveBusy: Another process holds it, and its lease has not run out.
        """
        async with self._catalog() as session:
            row = await session.fetchrow(_TAKE, move, self._holder, self.lease_s)
        if row is None:
            found = await self.one(move)
            raise MoveBusy(f"move {found.id} ({found.title}) is carried out by another process")
        return _move(row)

    async def keep(self, move: Move) -> bool:
        """Renew the lease; whether an operator wants the move to pause.

        Raises:
            LeaseLost: Another process has it.
        """
        async with self._catalog() as session:
            row = await session.fetchrow(_KEEP, move.id, move.lease, self.lease_s)
        if row is None:
            raise LeaseLost(f"move {move.id} was taken over by another process")
        return bool(row["paused"])

    async def give_back(self, move: Move, note: str) -> None:
        """Let others carry the move out; `note` says why it stopped, if it did not end."""
        async with self._catalog() as session:
            await session.execute(_GIVE_BACK, move.id, move.lease, note[:MOST_NOTED])

    async def step(self, move: Move, state: State, facts: Mapping[str, Any] | None = None) -> Move:
        """Write a transition, with facts that later steps need.

        Raises:
            LeaseLost: Another process carries the move out.
        """
        added = json.dumps(facts or {})
        resting = [state.value for state in RESTING]
        async with self._catalog() as session, session.transaction():
            row = await session.fetchrow(
                _STEP, move.id, move.lease, state.value, added, self.lease_s, resting
            )
            if row is None:
                raise LeaseLost(f"move {move.id} was taken over by another process")
            await session.execute(_NOTE_STEP, move.id, state.value, move.lease, added, "")
        return _move(row)

    async def list_tenants(self, move: Move, tenants: tuple[TenantId, ...]) -> Move:
        """Write that the move carries these tenants, and no others.

        Raises:
            LeaseLost: Another process carries the move out.
        """
        async with self._catalog() as session:
            row = await session.fetchrow(_LIST_TENANTS, move.id, move.lease, list(tenants))
        if row is None:
            raise LeaseLost(f"move {move.id} was taken over by another process")
        return _move(row)

    async def pause(self, move: int) -> None:
        """Have the move stop where it is.

        Raises:
            NoSuchMove: There is none of that number.
            WrongState: It is at its cutover or behind it: stopped there, its tenants could be
                without an open home.
        """
        async with self._catalog() as session:
            pausable = [state.value for state in PAUSABLE]
            if await session.fetchval(_PAUSE, move, pausable) is not None:
                return
        found = await self.one(move)
        raise WrongState(f"move {move} is {found.state}: it can be paused before its cutover only")

    async def unpause(self, move: int) -> None:
        """Let the move go on.

        Raises:
            NoSuchMove: There is none of that number.
        """
        async with self._catalog() as session:
            if await session.fetchval(_UNPAUSE, move) is None:
                raise NoSuchMove(f"there is no move {move}")

    async def note_failure(self, move: int, note: str) -> None:
        """Write why a move stopped that nobody holds, so that nobody goes on with it blindly."""
        async with self._catalog() as session:
            await session.execute(_NOTE_FAILURE, move, note[:MOST_NOTED])

    async def ask(self, move: Move, state: State, within: frozenset[State]) -> None:
        """Have the move go on in another direction: abort, roll back, clean up.

        Raises:
            WrongState: It is in none of the states in which that is possible.
        """
        async with self._catalog() as session, session.transaction():
            allowed = [one.value for one in within]
            if await session.fetchval(_ASK, move.id, state.value, allowed) is None:
                row = await session.fetchrow(_ONE, move.id)
                found = _move(row).state if row is not None else "gone"
                raise WrongState(f"move {move.id} is {found}")
            await session.execute(_NOTE_STEP, move.id, state.value, move.lease, "{}", "asked for")


async def _unfinished(session: Session) -> tuple[Move, ...]:
    rows = await session.fetch(_UNFINISHED, [state.value for state in ENDED])
    return tuple(_move(row) for row in rows)


async def install(session: Session) -> None:
    """Make the tables, if they are missing. Safe to race."""
    if await session.fetchval(_PRESENT):
        return
    async with session.transaction():
        await session.execute(f"SELECT pg_catalog.pg_advisory_xact_lock({LOCK})")
        await session.execute(SCRIPT)


def _move(row: asyncpg.Record | None) -> Move:
    if row is None:
        raise AssertionError("the statement returns a row")
    units = tuple(_unit(text) for text in row["units"])
    return Move(
        id=row["id"],
        token=row["token"],
        cluster_id=row["cluster_id"],
        units=units,
        tenants=tuple(TenantId(key) for key in row["tenants"]),
        source=ShardId(row["source"]),
        target=ShardId(row["target"]),
        state=State(row["state"]),
        max_pause_s=row["max_pause_s"],
        paused=row["paused"],
        lease=row["lease"],
        facts=json.loads(row["facts"]),
        note=row["note"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )


def _unit(text: str) -> Unit:
    unit = read_unit(text)
    if not isinstance(unit, PinUnit | SlotUnit):
        raise WrongState(f"the journal has a unit that this release does not know: {text}")
    return unit
