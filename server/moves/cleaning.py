"""Taking rows away where their tenants are not at home: in small batches, as replication does.

Triggers and foreign keys do not fire: the rows are not deleted, they are elsewhere.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from server.moves.errors import WrongState
from server.moves.fences import Fence, guarded, read_fences, texts
from server.moves.group import KEYS, relation, whose
from server.moves.pinning import newest_map
from server.moves.preflight import tables_on
from server.moves.request import Move
from server.moves.sessions import Session
from server.moves.work import Work
from shardmap import KeyType, PinUnit, ShardId, ShardMap, TenantId, Unit

BATCH_ROWS: Final = 2000
_ELSEWHERE: Final = frozenset({"gone", "arriving"})
"""States of the fence of a unit whose home is another shard."""
PAUSE_S: Final = 0.01
"""Between batches, so that the log of the deletes does not keep replicas from following."""


async def take_rows_away(work: Work, session: Session, move: Move, shard: ShardId) -> int:
    """Delete the rows of the move's tenants on this shard, where they are not at home; how many were.

    That is looked at once more, by the newest map and by the shard's fences, whatever led here. The
    fences may list tenants that the journal does not: rows of newcomers come before it is written.

    Raises:
        WrongState: A unit of the move, or one of the tenants, is at home here.
        LeaseLost: A newer mover has been here.
    """
    tenants = listed(move, await read_fences(session, move.units))
    refuse_residents(await newest_map(work.places), shard, tenants)
    tables = await tables_on(work.places, shard)
    key_type = work.places.shard_map.key_type
    conditions = {
        leaf.name: whose(table.tenant, tenants, key_type)
        for table in tables.values()
        for leaf in table.leaves
    }
    conditions[relation(KEYS)] = whose("tenant", tenants, KeyType.TEXT)
    deleted = 0
    for name, mine in conditions.items():
        while True:
            gone = await _batch(session, move, tenants, (name, mine))
            deleted += gone
            if gone < BATCH_ROWS:
                break
            await asyncio.sleep(PAUSE_S)
    return deleted


def listed(move: Move, fences: Mapping[str, Fence]) -> tuple[TenantId, ...]:
    """The move's tenants, and those whose rows are here and not at home by these fences. Pure."""
    found = set(move.tenants)
    for fence in fences.values():
        if fence.state in _ELSEWHERE:
            found |= set(fence.tenants)
    return tuple(sorted(found))


def refuse_residents(shard_map: ShardMap, shard: ShardId, tenants: Sequence[TenantId]) -> None:
    """Make sure that none of the tenants is at home on the shard. Pure.

    Raises:
        WrongState: One is.
    """
    for tenant in tenants:
        if shard_map.owner(tenant) == shard:
            raise WrongState(
                f"tenant {tenant} is at home on {shard} by the map of epoch {shard_map.epoch}: its"
                " rows are not taken away there"
            )


def refuse_open(
    fences: Mapping[str, Fence], units: Iterable[Unit], tenants: Iterable[TenantId]
) -> None:
    """Make sure that the shard is the home of none of the units, nor of one of the tenants. Pure.

    Raises:
        WrongState: It is.
    """
    for unit in texts(units):
        if unit not in fences or fences[unit].state not in _ELSEWHERE:
            raise WrongState(f"{unit} is at home where its rows were to be taken away")
    for unit in texts(PinUnit(tenant) for tenant in tenants):
        if unit in fences and fences[unit].state not in _ELSEWHERE:
            raise WrongState(f"{unit} is at home where its rows were to be taken away")


async def _batch(
    session: Session, move: Move, tenants: Sequence[TenantId], which: tuple[str, str]
) -> int:
    name, mine = which
    async with guarded(session, move):
        pins = (PinUnit(tenant) for tenant in tenants)
        fences = await read_fences(session, (*move.units, *pins))
        refuse_open(fences, move.units, tenants)
        await session.execute("SET LOCAL session_replication_role = replica")
        done = await session.execute(
            f"DELETE FROM {name} WHERE ctid = ANY (ARRAY"  # noqa: S608 - quoted names and keys
            f" (SELECT ctid FROM {name} WHERE {mine} LIMIT {BATCH_ROWS}))"
        )
    return int(done.rpartition(" ")[2])
