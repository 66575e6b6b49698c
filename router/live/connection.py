"""One session on one endpoint, with its prepared statements; behind a pooler, without any."""

import itertools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from router.context import QueryContext
from router.errors import StatementFailed
from router.fences import Entries
from router.live.failures import DRIVER_ERRORS
from router.live.freshness import Position
from router.live.one_sync import OneSync
from router.live.preamble import ROLLBACK, begin, set_role

CLOSE_TIMEOUT_S: Final = 1.0
"""How long closing may wait for the server, which includes that it took note of a cancel."""
MAX_CACHED_SQL: Final = 16 * 1024
"""Longer statements (bulk inserts) are prepared for one use, so that they evict nothing."""

READ_POSITION: Final = (
    "SELECT pg_catalog.pg_is_in_recovery(),"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"
    " ELSE pg_catalog.pg_current_wal_flush_lsn() END"
)
WRITTEN_POSITION: Final = (
    "SELECT pg_catalog.pg_current_wal_flush_lsn(), pg_catalog.substr("
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8)"
)

_serial: Final = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that the server has parsed, and the names of its columns."""

    statement: "PreparedStatement[asyncpg.Record]"
    columns: tuple[str, ...]
    outer: tuple[str, ...]
    """The names without the two of an inline position."""


class HeldConnection:
    """One open session of a pool, with its prepared statements. Used by one caller at a time.

    Nothing here translates errors or decides what to do with the session after one.
    """

    __slots__ = (
        "_cache_size",
        "_opening",
        "_statements",
        "abandonable",
        "expires_at",
        "generation",
        "idle_since",
        "one_sync",
        "pooled",
        "raw",
        "role",
        "serial",
        "waited_for",
    )

    def __init__(
        self,
        raw: "asyncpg.Connection[asyncpg.Record]",
        role: str,
        *,
        expires_at: float,
        cache_size: int,
        opening: str = "",
    ) -> None:
        self.raw = raw
        self.one_sync = OneSync(raw)
        self.role = role
        self.serial = next(_serial)
        self.expires_at = expires_at
        self.idle_since = 0.0
        self.generation = 0
        self.waited_for: tuple[Hashable, ...] = ()
        """The party that it was handed to, and that has it still; see `waiting`."""
        self.abandonable = True
        """Cutting it off loses nothing but a read."""
        self.pooled = bool(opening)
        """A pooler is in between: nothing is run outside of a transaction that `begin` begins."""
        self._opening = opening
        self._cache_size = cache_size
        self._statements: OrderedDict[str, Prepared] = OrderedDict()

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return self.raw.is_closed()

    def cached(self, sql: str) -> Prepared | None:
        """The statement, if this session has it prepared."""
        prepared = self._statements.get(sql)
        if prepared is not None:
            self._statements.move_to_end(sql)
        return prepared

    async def prepare(self, sql: str, timeout_s: float) -> Prepared:
        """The statement, prepared now: one round trip, more where its types are new.

        Raises:
            StatementFailed: 22021, the text cannot be sent; the session is unharmed.
        """
        _check_text(sql)
        name = None if self._cache_size else ""  # "": for this use only, within a transaction
        statement = await self.raw.prepare(sql, name=name, timeout=timeout_s)
        columns = tuple(attribute.name for attribute in statement.get_attributes())
        prepared = Prepared(statement, columns, columns[:-2])
        if len(sql) <= MAX_CACHED_SQL and self._cache_size:
            if len(self._statements) >= self._cache_size:
                self._statements.popitem(last=False)
            self._statements[sql] = prepared
        return prepared

    async def describe(self, sql: str, timeout_s: float) -> "PreparedStatement[asyncpg.Record]":
        """The statement, prepared to be looked at: it is not kept.

        The driver ends preparing with Flush, which leaves the transaction of the message open, with
        a snapshot; the message behind it ends that, or the next BEGIN would fail.

        Raises:
            StatementFailed: 22021, the text cannot be sent; the session is unharmed.
        """
        _check_text(sql)
        if self.pooled:
            return await self._describe_pooled(sql, timeout_s)
        statement = await self.raw.prepare(sql, timeout=timeout_s)
        await self.raw.execute("SELECT", timeout=timeout_s)
        return statement

    async def _describe_pooled(
        self, sql: str, timeout_s: float
    ) -> "PreparedStatement[asyncpg.Record]":
        before = f"BEGIN READ ONLY;{self._opening}"
        await self.raw.execute(before, timeout=timeout_s)
        try:
            statement = await self.raw.prepare(sql, name="", timeout=timeout_s)
        except asyncpg.PostgresError:
            await self.raw.execute(ROLLBACK, timeout=timeout_s)
            raise
        await self.raw.execute(ROLLBACK, timeout=timeout_s)
        return statement

    async def fetch(
        self, sql: str, args: Sequence[object], timeout_s: float
    ) -> tuple[Sequence[asyncpg.Record], Prepared]:
        """All rows of the statement. When time runs out the driver cancels it on the server."""
        prepared = self.cached(sql) or await self.prepare(sql, timeout_s)
        return await prepared.statement.fetch(*args, timeout=timeout_s), prepared

    def begin(
        self,
        context: QueryContext,
        *,
        write: bool,
        timeout_ms: int,
        isolation: str = "",
        entries: Entries = (),
    ) -> str:
        """The message that begins a transaction in this session, see `preamble.begin`."""
        return begin(
            context,
            write=write,
            timeout_ms=timeout_ms,
            isolation=isolation,
            opening=self._opening,
            entries=entries,
        )

    async def execute(self, message: str, timeout_s: float | None) -> None:
        """Run one simple-protocol message; its rows are dropped."""
        await self.raw.execute(message, timeout=timeout_s)

    async def read_position(self, timeout_s: float) -> tuple[bool, int]:
        """Whether the server is in recovery, and an LSN that no earlier snapshot is ahead of."""
        (row,), _ = await self.fetch(READ_POSITION, (), timeout_s)
        return row[0], row[1] or 0

    async def written_position(self, timeout_s: float) -> Position:
        """Up to where this primary's WAL is durable: every commit before now is below it.

        The flush position, not the insert position: WAL of others that nobody flushed may stay
        behind for seconds, and no replica gets it before.
        """
        (row,), _ = await self.fetch(WRITTEN_POSITION, (), timeout_s)
        return Position(int(row[1], 16), row[0])

    def forget_statements(self) -> None:
        """Drop the prepared statements: the schema they were made for has changed."""
        self._statements.clear()
        self.one_sync.forget()

    async def set_role(self, role: str, timeout_s: float) -> None:
        """Run as another role from now on, see `become`."""
        await become(self.raw, role, timeout_s)
        self.role = role

    async def close(self) -> None:
        """End the session; a statement still running is cancelled first. Bounded, never raises."""
        self._statements.clear()
        if self.one_sync.stray:
            await self.one_sync.cancel()
        try:
            await self.raw.close(timeout=CLOSE_TIMEOUT_S)
        except DRIVER_ERRORS:
            self.raw.terminate()

    def drop(self) -> None:
        """Cut the session off at once, without a cancel: whatever the server does, it finishes."""
        self._statements.clear()
        self.raw.terminate()


async def become(
    raw: "asyncpg.Connection[asyncpg.Record]", role: str, timeout_s: float | None = None
) -> None:
    """Run as the role from now on. Refused, the session stays what it was.

    Raises:
        StatementFailed: There is no such role, or the login role is no member of it.
    """
    try:
        await raw.execute(set_role(role), timeout=timeout_s)
    except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
        raise StatementFailed(error.sqlstate or "22023", str(error)) from error


def _check_text(sql: str) -> None:
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise StatementFailed("22021", "a statement cannot contain surrogates") from error
