"""Sessions of a mover: on the catalog, and on whoever is the primary of a shard now.

The only place of this package where the driver's errors about connections are caught.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self, TypeAlias

import asyncpg

from server.moves.errors import LeaseLost, MoveAway
from server.moves.names import APPLICATION
from shardmap import (
    CATALOG,
    CredentialsUnavailable,
    Endpoint,
    ShardId,
    ShardMap,
    expected_identities,
    read_identity,
    resolve,
)

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 5.0
"""For a server to say whether it is the primary; a frozen one takes connections and is silent."""
CLOSE_TIMEOUT_S: Final = 2.0
ABANDONED_AFTER: Final = "5s"
"""A server ends a transaction in which a mover stands still: others may wait for what it holds."""
STALE_LEASE: Final = "FX003"
"""SQLSTATE of a fence that a newer mover has written."""

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_ROLE: Final = """\
SELECT pg_catalog.pg_is_in_recovery() AS recovering,
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
        pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
    END AS timeline"""
_SETTINGS: Final = {
    "application_name": APPLICATION,
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": ABANDONED_AFTER,
    "default_transaction_read_only": "off",
    "row_security": "off",
    # one text for one value, whatever the server's defaults
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
}


class Places:
    """The servers of a map's shards, reached as an operator's login.

    `settings` are those of its sessions: a mover's, unless somebody else works with them.
    """

    def __init__(
        self,
        shard_map: ShardMap,
        environ: Mapping[str, str],
        settings: Mapping[str, str] = _SETTINGS,
    ) -> None:
        self.shard_map = shard_map
        self.environ = environ
        self._settings = settings
        names = (CATALOG, *shard_map.shards)
        expected = zip(names, expected_identities(shard_map), strict=True)
        self._identities = {name: identity for name, (_, identity) in expected}

    def on(self, shard_map: ShardMap) -> Self:
        """The same by another map."""
        return type(self)(shard_map, self.environ, self._settings)

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator[Session]:
        """A session on the catalog's primary.

        Raises:
            MoveAway: It has none that answers, or stopped answering.
        """
        async with self._session(CATALOG) as (session, _):
            yield session

    @asynccontextmanager
    async def primary(self, shard: ShardId) -> AsyncIterator[Session]:
        """A session on the shard's primary.

        Raises:
            MoveAway: It has none that answers, or stopped answering.
            LeaseLost: Another mover has taken over what this one wanted to change.
        """
        async with self._session(shard) as (session, _):
            yield session

    async def endpoint(self, shard: ShardId) -> Endpoint:
        """Which of the shard's servers is its primary.

        Raises:
            MoveAway: As above.
        """
        async with self._session(shard) as (_, endpoint):
            return endpoint

    async def conninfo(self, shard: ShardId) -> str:
        """How another server reaches the shard's primary; holds the password.

        Raises:
            MoveAway: As above.
        """
        async with self._session(shard) as (_, endpoint):
            login = resolve(endpoint, self.environ)
        words = {
            "host": endpoint.host,
            "port": str(endpoint.port),
            "dbname": endpoint.database,
            "user": login.user,
        }
        if login.password is not None:
            words["password"] = login.password
        if endpoint.tls is not None:
            words["sslmode"] = endpoint.tls.value
        return " ".join(f"{key}={_word(value)}" for key, value in words.items())

    @asynccontextmanager
    async def _session(self, shard: ShardId) -> AsyncIterator[tuple[Session, Endpoint]]:
        session: Session | None = None
        try:
            session, endpoint = await self._found(shard)
            try:
                yield session, endpoint
            finally:
                await _close(session)
        except asyncpg.PostgresError as error:
            if error.sqlstate == STALE_LEASE:
                raise LeaseLost(str(error)) from error
            if isinstance(error, _GONE):
                raise MoveAway(f"{shard}: {_reason(error)}") from error
            raise
        except (OSError, asyncpg.InternalClientError, CredentialsUnavailable) as error:
            raise MoveAway(f"{shard}: {_reason(error)}") from error
        except asyncpg.InterfaceError as error:
            if session is not None and not session.is_closed():  # then it is a mistake of ours
                raise
            raise MoveAway(f"{shard}: {_reason(error)}") from error

    async def _found(self, shard: ShardId) -> tuple[Session, Endpoint]:
        """The one that is no standby; of several, the one on the highest timeline."""
        opened: list[Session] = []
        try:
            return await self._found_among(shard, opened)
        except BaseException:
            for session in opened:
                session.terminate()
            raise

    async def _found_among(self, shard: ShardId, opened: list[Session]) -> tuple[Session, Endpoint]:
        """The same; `opened` gets every session that was opened for it."""
        reasons: list[str] = []
        found: list[tuple[str, Session, Endpoint]] = []
        for endpoint in self._endpoints(shard):
            try:
                session = await self._connected(endpoint)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                reasons.append(f"{endpoint.name}: {_reason(error)}")
                continue
            opened.append(session)
            timeline = None
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    row = await session.fetchrow(_ROLE)
                timeline = row["timeline"] if row is not None else None
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                reasons.append(f"{endpoint.name}: {_reason(error)}")
            if timeline is None:
                reasons.append(f"{endpoint.name}: is a standby")
                await _close(session)
            else:
                found.append((timeline, session, endpoint))
        if not found:
            raise MoveAway(f"{shard} has no primary that answers: {'; '.join(reasons)}")
        found.sort(key=lambda one: one[0])
        *others, (_, session, endpoint) = found
        for _, other, _ in others:
            await _close(other)
        identity = await read_identity(session)
        if identity is not None and identity != self._identities[shard]:
            await _close(session)
            raise MoveAway(
                f"{endpoint.name} is {identity.shard_id} of cluster {identity.cluster_id},"
                f" not {shard}"
            )
        return session, endpoint

    def _endpoints(self, shard: ShardId) -> Sequence[Endpoint]:
        if shard == CATALOG:
            return (self.shard_map.catalog, *self.shard_map.catalog_replicas)
        return self.shard_map.shards[shard].endpoints

    async def _connected(self, endpoint: Endpoint) -> Session:
        login = resolve(endpoint, self.environ)
        straight = endpoint.straight
        session: Session = await asyncpg.connect(
            host=straight.host,
            port=straight.port,
            database=straight.database,
            user=login.user,
            password=login.password,
            ssl=straight.tls.value if straight.tls is not None else None,
            timeout=CONNECT_TIMEOUT_S,
            statement_cache_size=0,
            server_settings=dict(self._settings),
        )
        return session


_GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
)


async def _close(session: Session) -> None:
    try:
        await session.close(timeout=CLOSE_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        session.terminate()


def _word(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
