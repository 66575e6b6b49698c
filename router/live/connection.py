"""One session on one endpoint: proved to be the right server, running as one of our roles."""

import itertools
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from router.backend_settings import BackendSettings
from router.errors import IdentityMismatch, PoolTimeout, StatementFailed
from router.live.failures import DRIVER_ERRORS, EndpointLost, refuses_connections, unprepared
from router.live.freshness import Position
from router.live.one_sync import OneSync
from router.live.preamble import quote_identifier, set_role
from shardmap import IDENTITY, CredentialsUnavailable, Endpoint, Identity, Login, ShardId

LoginSource = Callable[[Endpoint], Login]
"""Who to log in as, asked at every connect, so that a rotated password needs no restart."""

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
        "_statements",
        "abandonable",
        "expires_at",
        "generation",
        "idle_since",
        "one_sync",
        "raw",
        "role",
        "serial",
    )

    def __init__(
        self,
        raw: "asyncpg.Connection[asyncpg.Record]",
        role: str,
        *,
        expires_at: float,
        cache_size: int,
    ) -> None:
        self.raw = raw
        self.one_sync = OneSync(raw)
        self.role = role
        self.serial = next(_serial)
        self.expires_at = expires_at
        self.idle_since = 0.0
        self.generation = 0
        self.abandonable = True
        """Cutting it off loses nothing but a read."""
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
        statement = await self.raw.prepare(sql, timeout=timeout_s)
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
        statement = await self.raw.prepare(sql, timeout=timeout_s)
        await self.raw.execute("SELECT", timeout=timeout_s)
        return statement

    async def fetch(
        self, sql: str, args: Sequence[object], timeout_s: float
    ) -> tuple[Sequence[asyncpg.Record], Prepared]:
        """All rows of the statement. When time runs out the driver cancels it on the server."""
        prepared = self.cached(sql) or await self.prepare(sql, timeout_s)
        return await prepared.statement.fetch(*args, timeout=timeout_s), prepared

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
        """Run as another of our roles from now on."""
        await self.execute(set_role(role), timeout_s)
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


async def connect(
    endpoint: Endpoint, login: LoginSource, settings: BackendSettings
) -> "asyncpg.Connection[asyncpg.Record]":
    """A session of the login role, with our settings, not yet proved.

    Raises:
        CredentialsUnavailable: The endpoint's credentials are not there.
        Exception: What the driver raises.
    """
    who = login(endpoint)
    timeout_ms = round(settings.statement_timeout_s * 1000)
    return await asyncpg.connect(
        host=endpoint.host,
        port=endpoint.port,
        database=endpoint.database,
        user=who.user,
        password=who.password,
        ssl=endpoint.tls.value if endpoint.tls is not None else None,
        timeout=settings.connect_timeout_s,
        statement_cache_size=32,  # for the driver's own queries; ours are kept above
        max_cached_statement_lifetime=0,
        server_settings={
            "application_name": "fluxshard",
            "search_path": ", ".join(map(quote_identifier, settings.exposed_schemas)),
            "statement_timeout": str(timeout_ms),
            "idle_in_transaction_session_timeout": str(2 * timeout_ms),
            "standard_conforming_strings": "on",
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "on",  # writes begin READ WRITE by name
            # A read that carries no claims would meet policies with none and be answered wrongly:
            # with this off PostgreSQL refuses it instead, and it runs again with its claims.
            "row_security": "off",
            "extra_float_digits": "1",  # rows that travel between shards keep all digits
            "synchronous_commit": "on",
            "timezone": "UTC",
            "jit": "off",
        },
    )


async def prove(
    raw: "asyncpg.Connection[asyncpg.Record]", endpoint: Endpoint, identity: Identity
) -> None:
    """Make sure that the server is the one the map means. One query.

    Raises:
        IdentityMismatch: It is not, or it was never prepared.
    """
    row = await raw.fetchrow(IDENTITY)
    if row is None:
        raise _mismatch(endpoint, identity, "says nothing")
    if (row["cluster_id"], row["shard_id"]) != (identity.cluster_id, identity.shard_id):
        found = f"is shard {row['shard_id']} of cluster {row['cluster_id']}"
        raise _mismatch(endpoint, identity, found)


def _check_text(sql: str) -> None:
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise StatementFailed("22021", "a statement cannot contain surrogates") from error


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _mismatch(endpoint: Endpoint, identity: Identity, found: str) -> IdentityMismatch:
    return IdentityMismatch(
        identity.shard_id,
        f"the server at endpoint {endpoint.name} {found},"
        f" not shard {identity.shard_id} of cluster {identity.cluster_id}",
        hint="Check the address in the shard map.",
    )


async def open_session(
    endpoint: Endpoint,
    login: LoginSource,
    settings: BackendSettings,
    identity: Identity,
    role: str | None,
) -> "asyncpg.Connection[asyncpg.Record]":
    """A proved session that runs as `role`, or for None as the login role (probes).

    Raises:
        EndpointLost: The endpoint cannot be reached, or does not let us in.
        PoolTimeout: The server has no room for another connection.
        IdentityMismatch: Another server answers there.
    """
    raw = None
    proved = False
    try:
        raw = await connect(endpoint, login, settings)
        await prove(raw, endpoint, identity)
        if role is not None:
            await raw.execute(set_role(role))
        proved = True
    except (*DRIVER_ERRORS, CredentialsUnavailable) as error:
        if refuses_connections(error):
            raise PoolTimeout(
                identity.shard_id, f"connection pool: {endpoint.name} accepts no more connections"
            ) from error
        if raw is not None and unprepared(error):
            raise _mismatch(endpoint, identity, "was not prepared for Fluxshard") from error
        raise EndpointLost(
            identity.shard_id,
            endpoint.name,
            f"cannot connect to {endpoint.name}: {_text(error)}",
        ) from error
    finally:
        if raw is not None and not proved:
            raw.terminate()
    return raw


@asynccontextmanager
async def log_in(
    shard: ShardId, endpoint: Endpoint, login: LoginSource, settings: BackendSettings
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A session of the login role for set-up work, not proved; closed with the context.

    Raises:
        EndpointLost: The endpoint cannot be reached, or was lost meanwhile.
    """
    raw = None
    try:
        raw = await connect(endpoint, login, settings)
        yield raw
    except (*DRIVER_ERRORS, CredentialsUnavailable) as error:
        if raw is not None and not raw.is_closed():
            raise
        raise EndpointLost(shard, endpoint.name, f"{endpoint.name}: {_text(error)}") from error
    finally:
        if raw is not None:
            raw.terminate()


async def open_held(  # noqa: PLR0913 - what a session is made of
    endpoint: Endpoint,
    login: LoginSource,
    settings: BackendSettings,
    identity: Identity,
    role: str,
    *,
    lifetime_share: float,
) -> HeldConnection:
    """A session for a pool. `lifetime_share` spreads the ends of those opened together."""
    raw = await open_session(endpoint, login, settings, identity, role)
    return HeldConnection(
        raw,
        role,
        expires_at=time.monotonic() + settings.max_lifetime_s * lifetime_share,
        cache_size=settings.statement_cache,
    )
