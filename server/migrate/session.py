"""Sessions of migrations on the primaries of a cluster, and what the driver's errors become there.

Nothing else in this package catches what the driver raises, but for the few SQLSTATEs that `apply`
tries again. A session has settings that make a statement mean the same everywhere, and notices when
this program has died, so that what it ran does not go on for hours with nobody waiting for it.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeAlias

import asyncpg

from server.migrate.cursor import DEFAULT_SCHEMA
from server.migrate.errors import DatabaseAway
from server.migrate.places import Database
from shardmap import CredentialsUnavailable, Endpoint, Login, Pooling, read_identity

CONNECT_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0

_SETTINGS: Final = {
    "search_path": DEFAULT_SCHEMA,
    "standard_conforming_strings": "on",
    "synchronous_commit": "on",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "check_function_bodies": "on",
    "client_connection_check_interval": "2s",  # a killed client's statement ends, and its locks
}

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
LoginSource = Callable[[Endpoint], Login]


@asynccontextmanager
async def session_on(database: Database, login: LoginSource, label: str) -> AsyncIterator[Session]:
    """A session on the primary of a database, which has to be who the shard map says.

    `label` says who migrates; others see it as the session's application_name.

    Raises:
        DatabaseAway: No endpoint is the primary, or it is another shard.
    """
    session = await _primary(database, login, label)
    try:
        yield session
    finally:
        try:
            await session.close(timeout=CLOSE_TIMEOUT_S)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            session.terminate()


@contextmanager
def speaking_to(database: Database, session: Session) -> Iterator[None]:
    """What is asked of one session in this context; that it ends becomes an error of ours.

    Raises:
        DatabaseAway: The server ended the session, or cannot be reached any more.
    """
    try:
        yield
    except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, OSError) as error:
        raise DatabaseAway(f"{database.name} went away: {error}") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if not session.is_closed():  # then it is a mistake of ours
            raise
        raise DatabaseAway(f"{database.name} went away: {error}") from error


async def _primary(database: Database, login: LoginSource, label: str) -> Session:
    reasons: list[str] = []
    for endpoint in database.endpoints:
        try:
            session = await _connected(endpoint, login(endpoint), label)
        except CredentialsUnavailable as error:
            reasons.append(f"{endpoint.name}: {error}")
            continue
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reasons.append(f"{endpoint.name}: {str(error) or type(error).__name__}")
            continue
        if await session.fetchval("select pg_catalog.pg_is_in_recovery()"):
            reasons.append(f"{endpoint.name} is a replica")
            session.terminate()
            continue
        found = await read_identity(session)
        if found is not None and found != database.identity:
            session.terminate()
            raise DatabaseAway(
                f"the server at {endpoint.name} is {found.shard_id} of cluster {found.cluster_id},"
                f" not {database.identity.shard_id} of cluster {database.identity.cluster_id}"
            )
        return session
    raise DatabaseAway(f"{database.name} has no primary that answers: {'; '.join(reasons)}")


async def _connected(endpoint: Endpoint, login: Login, label: str) -> Session:
    endpoint = endpoint.straight
    if endpoint.pooling is Pooling.TRANSACTION:
        raise DatabaseAway(
            f"migrations need sessions, and only a pooler in transaction mode leads to"
            f" {endpoint.name}: give it its own address in the shard map (direct: host:port)"
        )
    return await asyncpg.connect(
        host=endpoint.host,
        port=endpoint.port,
        database=endpoint.database,
        user=login.user,
        password=login.password,
        ssl=endpoint.tls.value if endpoint.tls is not None else None,
        timeout=CONNECT_TIMEOUT_S,
        statement_cache_size=0,
        server_settings={**_SETTINGS, "application_name": label[:63]},
    )
