"""Floors in unlogged tables of the catalog's database."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from importlib.resources import files
from typing import Final

import asyncpg

from server.catalog import Session
from server.shared.store import Kept, StoreAway
from shardmap import CredentialsUnavailable, MapUnavailable

TABLES: Final = files("server.shared").joinpath("floors.sql").read_text()
EXCHANGE: Final = """
WITH raised AS (
    INSERT INTO fluxshard.floor AS known (name, timeline, units)
    SELECT * FROM unnest($1::bytea[], $2::int4[], $3::int8[])
    ON CONFLICT (name) DO UPDATE SET
        timeline = greatest(known.timeline, excluded.timeline),
        units = greatest(known.units, excluded.units),
        raised_at = now()
    WHERE known.timeline < excluded.timeline OR known.units < excluded.units
)
SELECT mark, name, timeline, units FROM fluxshard.floor_memory
LEFT JOIN fluxshard.floor ON name = ANY ($4::bytea[])
"""
TIDY: Final = "DELETE FROM fluxshard.floor WHERE raised_at < now() - $1::float8 * interval '1 s'"

_LSN_BITS: Final = 52
_ERRORS: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    MapUnavailable,
    CredentialsUnavailable,
)

Connect = Callable[[], AbstractAsyncContextManager[Session]]
"""Opens a session on the catalog's primary."""


class PostgresFloors:
    """One session, one statement, one round trip for all that came together."""

    def __init__(self, connect: Connect, *, retention_s: float) -> None:
        self._connect = connect
        self._retention_s = retention_s
        self._opened = AsyncExitStack()
        self._session: Session | None = None
        self._statement: asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record] | None = None

    async def exchange(self, wanted: Sequence[bytes], raised: Mapping[bytes, int]) -> Kept:
        """See `FloorStore`."""
        names = sorted(raised)  # in one order, so that no two instances wait for each other
        timelines = [raised[name] >> _LSN_BITS for name in names]
        units = [raised[name] & ((1 << _LSN_BITS) - 1) for name in names]
        try:
            statement = self._statement or await self._prepared()
            rows = await statement.fetch(names, timelines, units, list(wanted))
        except _ERRORS as error:
            await self.close()
            raise StoreAway(f"catalog: {str(error) or type(error).__name__}") from error
        if not rows:
            await self.close()  # the next one finds the tables empty, and makes a new mark
            raise StoreAway("catalog: the floors were forgotten")
        found = {row[1]: (row[2] << _LSN_BITS) | row[3] for row in rows if row[1] is not None}
        return Kept(rows[0][0], [found.get(name, 0) for name in wanted])

    async def tidy(self) -> None:
        """See `FloorStore`."""
        if self._session is None:
            return
        try:
            await self._session.execute(TIDY, self._retention_s)
        except _ERRORS as error:
            await self.close()
            raise StoreAway(f"catalog: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """See `FloorStore`."""
        opened, self._opened = self._opened, AsyncExitStack()
        if self._session is not None:
            self._session.terminate()
        self._session = self._statement = None
        with suppress(*_ERRORS):
            await opened.aclose()

    async def _prepared(self) -> "asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]":
        session = await self._opened.enter_async_context(self._connect())
        self._session = session
        await session.execute(TABLES)
        self._statement = await session.prepare(EXCHANGE)
        return self._statement
