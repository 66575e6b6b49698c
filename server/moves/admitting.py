"""Tenants that appear in a slot while it moves: taken into the move while nobody writes in the slot.

Their rows are few, so they are copied in one transaction under the slot's lock, and the publications
change in the same one: from its end on the stream has what they write.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from server.moves.carrying import carry_rows
from server.moves.cutover import shut_units
from server.moves.errors import PauseTooLong
from server.moves.fences import claim, guarded, set_fence
from server.moves.group import KEYS, quoted, relation, sharded_tables, whose
from server.moves.names import keys
from server.moves.preflight import tables_on
from server.moves.request import Move
from server.moves.sessions import Session
from server.moves.streams import (
    Stream,
    backward_stream,
    flushed_position,
    reached,
)
from server.moves.work import Work
from shardmap import KeyType, TableName, TenantId

_KEYS_OF: Final = """\
SELECT key, tenant, target, content, answer, kept_at FROM fluxshard.write_key WHERE tenant = ANY ($1)"""
_KEEP: Final = """\
INSERT INTO fluxshard.write_key (key, tenant, target, content, answer, kept_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO NOTHING"""


async def admit(work: Work, move: Move, found: Sequence[TenantId], stream: Stream) -> Move:
    """The move with these tenants as well; the stream is that from where they are at home now.

    Raises:
        PauseTooLong: Writers were inside, or the copy is too far behind; nothing was changed.
    """
    tenants = tuple(sorted({*move.tenants, *found}))
    new = tuple(tenant for tenant in tenants if tenant not in move.tenants)
    key_type = work.places.shard_map.key_type
    tables = await tables_on(work.places, stream.origin)
    columns = sharded_tables(work.places.shard_map)
    async with (
        work.places.primary(stream.origin) as home,
        work.places.primary(stream.origin) as watch,
        work.places.primary(stream.destination) as copy,
        home.transaction(),
    ):
        await shut_units(home, move)
        if not await reached(watch, stream, await flushed_position(watch), move.max_pause_s):
            raise PauseTooLong(f"{stream.destination} did not catch up in time")
        await _widen(home, stream, columns, tenants, key_type)
        async with copy.transaction():
            fences = await claim(copy, move)
            await copy.execute("SET LOCAL session_replication_role = replica")
            for table in tables.values():
                await carry_rows(home, copy, table, whose(table.tenant, new, key_type))
            for row in await home.fetch(_KEYS_OF, list(new)):
                await copy.execute(_KEEP, *row.values())
            for unit, fence in sorted(fences.items()):
                await set_fence(
                    copy,
                    unit,
                    epoch=fence.epoch,
                    state=fence.state,
                    moved_to=fence.moved_to,
                    lease=move.lease,
                    tenants=move.tenants_of(unit, tenants),
                )
    if stream.origin == move.source:  # on the way forth the stream back is made already
        async with work.places.primary(move.target) as target, guarded(target, move):
            await _widen(target, backward_stream(move), columns, tenants, key_type)
    return await work.journal.list_tenants(move, tenants)


async def _widen(
    session: Session,
    stream: Stream,
    columns: Mapping[TableName, str],
    tenants: Sequence[TenantId],
    key_type: KeyType,
) -> None:
    """Let the publications have these tenants' rows, inside of a transaction."""
    listed = ", ".join(
        f"TABLE {relation(table)} WHERE ({whose(column, tenants, key_type)})"
        for table, column in columns.items()
    )
    await session.execute(f"ALTER PUBLICATION {quoted(stream.name)} SET {listed}")
    mine = whose("tenant", tenants, KeyType.TEXT)
    await session.execute(
        f"ALTER PUBLICATION {quoted(keys(stream.move))} SET TABLE {relation(KEYS)} WHERE ({mine})"
    )
