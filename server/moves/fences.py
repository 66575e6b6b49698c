"""Fences as a mover reads and writes them: every change of a shard carries the mover's lease."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from server.moves.errors import LeaseLost
from server.moves.request import Move
from server.moves.sessions import Session
from shardmap import ShardId, TenantId, Unit, unit_text

LOCK_TIMEOUT_S: Final = 0.5
"""How long writers may queue behind a fence that waits for those inside."""

_READ: Final = """\
SELECT unit, epoch, state, moved_to, lease, tenants FROM fluxshard.fence WHERE unit = ANY ($1)"""
_SHARED: Final = f"{_READ} FOR SHARE"
_STANDING: Final = """\
SELECT pg_catalog.min(extract(epoch FROM pg_catalog.clock_timestamp() - changed_at))::float8
FROM fluxshard.fence WHERE unit = ANY ($1)"""
_CLAIM: Final = "SELECT fluxshard.claim_fence(unit, $2) FROM pg_catalog.unnest($1::text[]) AS unit"
_BEHIND_CUTOVERS: Final = """\
SELECT pg_catalog.pg_advisory_xact_lock_shared(fluxshard.unit_lock(unit))
FROM pg_catalog.unnest($1::text[]) AS unit"""
_SET: Final = "SELECT fluxshard.set_fence($1, $2, $3, $4, $5, $6)"
_DROP: Final = "SELECT fluxshard.drop_fence($1, $2)"


@dataclass(frozen=True, slots=True)
class Fence:
    """One unit's row on one shard."""

    unit: str
    epoch: int
    state: str
    moved_to: ShardId | None
    lease: int
    tenants: tuple[TenantId, ...]

    def document(self) -> list[object]:
        """It as JSON, for the journal."""
        return [self.epoch, self.state, self.moved_to]


def texts(units: Iterable[Unit]) -> list[str]:
    """The units' names, in the order in which they are locked."""
    return sorted(unit_text(unit) for unit in units)


async def read_fences(session: Session, units: Iterable[Unit]) -> Mapping[str, Fence]:
    """The rows that there are, by unit."""
    return _fences(await session.fetch(_READ, texts(units)))


async def claim(session: Session, move: Move) -> Mapping[str, Fence]:
    """Inside of a transaction: nobody is in the units, and no other mover changes them; the rows.

    Raises:
        LeaseLost: A newer mover has been here (as `FX003`).
    """
    await session.execute(f"SET LOCAL lock_timeout = '{int(LOCK_TIMEOUT_S * 1000)}ms'")
    await session.execute(_CLAIM, texts(move.units), move.lease)
    return await read_fences(session, move.units)


async def settled(session: Session, move: Move) -> Mapping[str, Fence]:
    """The rows once no cutover is in the middle of its commit; writers inside do not matter.

    Raises:
        LeaseLost: A newer mover has been here.
    """
    async with session.transaction():
        await session.execute(f"SET LOCAL lock_timeout = '{int(LOCK_TIMEOUT_S * 1000)}ms'")
        await session.execute(_BEHIND_CUTOVERS, texts(move.units))
        found = await read_fences(session, move.units)
    refuse_stale(found, move)
    return found


async def standing_s(session: Session, units: Iterable[Unit]) -> float:
    """For how many seconds all of the rows have been as they are; 0: there are none."""
    return float(await session.fetchval(_STANDING, texts(units)) or 0.0)


async def set_fence(  # noqa: PLR0913 - the columns of its row
    session: Session,
    unit: str,
    *,
    epoch: int,
    state: str,
    moved_to: ShardId | None,
    lease: int,
    tenants: Sequence[TenantId] | None,
) -> None:
    """Write a row, inside of a transaction."""
    listed = list(tenants) if tenants is not None else None
    await session.execute(_SET, unit, epoch, state, moved_to, lease, listed)


async def drop_fence(session: Session, unit: str, lease: int) -> None:
    """Take a row away, inside of a transaction."""
    await session.execute(_DROP, unit, lease)


@asynccontextmanager
async def guarded(session: Session, move: Move) -> AsyncIterator[None]:
    """A transaction that commits only as the newest mover: nobody takes over within it.

    Writers pass; a mover that takes over waits, at most until the server ends a transaction that
    stands still.

    Raises:
        LeaseLost: A newer mover has been here.
    """
    async with session.transaction():
        refuse_stale(_fences(await session.fetch(_SHARED, texts(move.units))), move)
        yield


async def check(session: Session, move: Move) -> None:
    """Make sure that no newer mover has been here.

    Raises:
        LeaseLost: One has.
    """
    refuse_stale(await read_fences(session, move.units), move)


def refuse_stale(fences: Mapping[str, Fence], move: Move) -> None:
    """Raise if a row was written under a newer lease."""
    for fence in fences.values():
        if fence.lease > move.lease:
            raise LeaseLost(
                f"the fence of {fence.unit} belongs to lease {fence.lease}, not {move.lease}"
            )


def _fences(rows: Iterable[asyncpg.Record]) -> dict[str, Fence]:
    return {
        row["unit"]: Fence(
            unit=row["unit"],
            epoch=row["epoch"],
            state=row["state"],
            moved_to=ShardId(row["moved_to"]) if row["moved_to"] is not None else None,
            lease=row["lease"],
            tenants=tuple(TenantId(key) for key in row["tenants"] or ()),
        )
        for row in rows
    }
