"""Taking rows away where their tenants are not at home: in small batches, as replication does.

Triggers and foreign keys do not fire: the rows are not deleted, they are elsewhere.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from server.moves.errors import WrongState
from server.moves.fences import guarded, read_fences, texts
from server.moves.group import KEYS, Table, relation, whose
from server.moves.request import Move
from server.moves.sessions import Session
from shardmap import KeyType, TableName, TenantId

BATCH_ROWS: Final = 2000
PAUSE_S: Final = 0.01
"""Between batches, so that the log of the deletes does not keep replicas from following."""


async def take_rows_away(
    session: Session,
    move: Move,
    tables: Mapping[TableName, Table],
    tenants: Sequence[TenantId],
    key_type: KeyType,
) -> int:
    """Delete the tenants' rows on this shard, where their fences are not open; how many were.

    Raises:
        WrongState: A unit of the move is at home here.
        LeaseLost: A newer mover has been here.
    """
    conditions = {
        leaf.name: whose(table.tenant, tenants, key_type)
        for table in tables.values()
        for leaf in table.leaves
    }
    conditions[relation(KEYS)] = whose("tenant", tenants, KeyType.TEXT)
    deleted = 0
    for name, mine in conditions.items():
        while True:
            gone = await _batch(session, move, name, mine)
            deleted += gone
            if gone < BATCH_ROWS:
                break
            await asyncio.sleep(PAUSE_S)
    return deleted


async def _batch(session: Session, move: Move, name: str, mine: str) -> int:
    async with guarded(session, move):
        fences = await read_fences(session, move.units)
        for unit in texts(move.units):
            if unit not in fences or fences[unit].state not in {"gone", "arriving"}:
                raise WrongState(f"{unit} is at home where its rows were to be taken away")
        await session.execute("SET LOCAL session_replication_role = replica")
        done = await session.execute(
            f"DELETE FROM {name} WHERE ctid = ANY (ARRAY"  # noqa: S608 - quoted names and keys
            f" (SELECT ctid FROM {name} WHERE {mine} LIMIT {BATCH_ROWS}))"
        )
    return int(done.rpartition(" ")[2])
