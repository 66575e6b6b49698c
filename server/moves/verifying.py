"""Comparing the copy with its home while both live: what differs for a moment only does not count."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from server.moves.carrying import carry_rows
from server.moves.comparing import (
    Difference,
    Rows,
    buckets_sql,
    by_key,
    differing_buckets,
    differing_keys,
    keyed_sql,
    rows_sql,
    settled,
)
from server.moves.errors import MoveAway
from server.moves.group import Table, whose
from server.moves.sessions import Places, Session
from server.moves.streams import Stream, flushed_position, reached
from shardmap import KeyType, TableName, TenantId

T = TypeVar("T")

LOOKS: Final = 12
"""How often rows that differ are looked at again, until a difference counts or the rest is at rest."""
CONFIRMATIONS: Final = 2
"""How often in a row a difference has to show: once could be an old value that came back."""
CATCH_UP_S: Final = 30.0
MOST_KEYS: Final = 100_000


async def differences(
    places: Places,
    stream: Stream,
    tables: Mapping[TableName, Table],
    tenants: Sequence[TenantId],
    key_type: KeyType,
) -> tuple[tuple[Difference, ...], int]:
    """Every row that differs for good, and how many rows were compared.

    Raises:
        MoveAway: A server stopped answering, or the copy does not catch up.
        StreamBroken: The stream's slot is gone.
    """
    found: list[Difference] = []
    compared = 0
    async with places.primary(stream.origin) as home, places.primary(stream.destination) as copy:
        for table in tables.values():
            mine = whose(table.tenant, tenants, key_type)
            pair = _Pair(home, copy, stream, table, mine)
            different, rows = await pair.differences()
            found += different
            compared += rows
    return tuple(found), compared


async def repair(
    places: Places,
    stream: Stream,
    tables: Mapping[TableName, Table],
    found: Sequence[Difference],
    whose_rows: tuple[Sequence[TenantId], KeyType],
) -> int:
    """Put rows of the copy right as they are at home now; how many keys were.

    The stream goes on meanwhile, so what a repair makes wrong the next verification finds.
    """
    tenants, key_type = whose_rows
    repaired = 0
    async with places.primary(stream.origin) as home, places.primary(stream.destination) as copy:
        for difference in found:
            table = tables[TableName(difference.table)]
            mine = whose(table.tenant, tenants, key_type)
            await _caught_up(home, stream)
            async with copy.transaction():
                await copy.execute("SET LOCAL session_replication_role = replica")
                await carry_rows(home, copy, table, mine, difference.key)
            repaired += 1
    return repaired


class _Pair:
    """One table on both sides."""

    def __init__(
        self, home: Session, copy: Session, stream: Stream, table: Table, mine: str
    ) -> None:
        self._home = home
        self._copy = copy
        self._stream = stream
        self._table = table
        self._mine = mine

    async def differences(self) -> tuple[list[Difference], int]:
        buckets = buckets_sql(self._table, self._mine)
        await _caught_up(self._home, self._stream)
        here, there = await _both(self._home.fetch(buckets), self._copy.fetch(buckets))
        compared = sum(row["rows"] for row in here)
        suspects = differing_buckets(here, there)
        if not suspects:
            return [], compared
        return await self._looked_into(suspects), compared

    async def _looked_into(self, buckets: list[int]) -> list[Difference]:
        texts = rows_sql(self._table, self._mine)
        await _caught_up(self._home, self._stream)
        before = by_key(await self._home.fetch(texts, buckets))
        there = by_key(await self._copy.fetch(texts, buckets))
        keys = differing_keys(before, there)
        if len(keys) > MOST_KEYS:
            return [self._difference(key, before, there) for key in sorted(keys)[:MOST_KEYS]]
        shown = dict.fromkeys(keys, 0)
        for _ in range(LOOKS):
            if not shown or min(shown.values()) >= CONFIRMATIONS:
                break
            before, there, after = await self._three_looks(sorted(shown))
            different, unknown = settled(before, there, after, shown)
            shown = {key: shown[key] + 1 for key in different} | dict.fromkeys(unknown, 0)
        return [
            self._difference(key, before, there)
            for key, times in sorted(shown.items())
            if times > 0
        ]

    async def _three_looks(self, keys: list[str]) -> tuple[Rows, Rows, Rows]:
        text = keyed_sql(self._table, self._mine)
        before = by_key(await self._home.fetch(text, keys))
        await _caught_up(self._home, self._stream)
        there = by_key(await self._copy.fetch(text, keys))
        after = by_key(await self._home.fetch(text, keys))
        return before, there, after

    def _difference(self, key: str, here: Rows, there: Rows) -> Difference:
        return Difference(
            self._table.name,
            key,
            sum(here.get(key, {}).values()),
            sum(there.get(key, {}).values()),
        )


async def _both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, T]) -> tuple[T, T]:
    """Both results, awaited at once; of two errors, one."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks_of = (tasks.create_task(one), tasks.create_task(other))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return tasks_of[0].result(), tasks_of[1].result()


async def _caught_up(home: Session, stream: Stream) -> None:
    if not await reached(home, stream, await flushed_position(home), CATCH_UP_S):
        raise MoveAway(f"{stream.destination} does not catch up with {stream.origin}")
