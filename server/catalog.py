"""Connections to the catalog and to shards' primaries, for maps. No request ever waits for one.

The driver's errors become `MapUnavailable` here, where a connection is opened and around whatever
its user does with it. All of PostgreSQL's own do: the statements about maps are fixed, so an error
tells of the server's state (starting, full, read-only, no permission), not of the statement.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import asyncpg

from shardmap import Endpoint, MapUnavailable, resolve

CONNECT_TIMEOUT_S: Final = 5.0
"""To reach a server and log in. Longer than a TCP retransmission, shorter than an operator waits."""
STATEMENT_TIMEOUT_S: Final = 15.0
"""For one statement about maps; they take milliseconds, and a lock may be waited for."""
CLOSE_TIMEOUT_S: Final = 2.0

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@asynccontextmanager
async def connected(
    endpoint: Endpoint,
    environ: Mapping[str, str],
    *,
    statement_timeout_s: float | None = STATEMENT_TIMEOUT_S,
) -> AsyncIterator[Session]:
    """A session on one server, closed with the context; past a pooler where the map says how.

    Without a `statement_timeout_s` its statements take as long as they take.

    Raises:
        MapUnavailable: The server does not answer, or stopped answering within the context.
        CredentialsUnavailable: Its login cannot be found.
    """
    login = resolve(endpoint, environ)
    endpoint = endpoint.straight
    try:
        connection: Session = await asyncpg.connect(
            host=endpoint.host,
            port=endpoint.port,
            database=endpoint.database,
            user=login.user,
            password=login.password,
            ssl=endpoint.tls.value if endpoint.tls is not None else None,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=statement_timeout_s,
            statement_cache_size=0,  # so that a pooler in transaction mode may be in between
            server_settings={"application_name": "fluxshard maps"},
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MapUnavailable(f"{_place(endpoint)}: {_reason(error)}") from error
    try:
        yield connection
    except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
        # The last is what a statement meets when the server ended the session just before it.
        raise MapUnavailable(f"{_place(endpoint)}: {_reason(error)}") from error
    except asyncpg.InterfaceError as error:
        if not connection.is_closed():  # then it is a mistake of ours
            raise
        raise MapUnavailable(f"{_place(endpoint)}: {_reason(error)}") from error
    finally:
        try:
            await connection.close(timeout=CLOSE_TIMEOUT_S)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()


@asynccontextmanager
async def catalog_session(
    endpoints: Sequence[Endpoint], environ: Mapping[str, str], *, writable: bool
) -> AsyncIterator[Session]:
    """A session on the catalog: on the endpoint that is its primary now, whatever was declared.

    With `writable` false a standby will do when no primary answers.

    Raises:
        MapUnavailable: No endpoint answers, or only standbys and `writable` is asked for.
        CredentialsUnavailable: The login of an endpoint is missing.
    """
    chosen = (
        endpoints[0]
        if len(endpoints) == 1
        else await _choose(endpoints, environ, writable=writable)
    )
    async with connected(chosen, environ) as session:
        yield session


async def _choose(
    endpoints: Sequence[Endpoint], environ: Mapping[str, str], *, writable: bool
) -> Endpoint:
    reasons: list[str] = []
    standby: Endpoint | None = None
    for endpoint in endpoints:
        try:
            async with connected(endpoint, environ) as session:
                if not await recovering(session):
                    return endpoint
        except MapUnavailable as error:
            reasons.append(str(error))
        else:
            reasons.append(f"{_place(endpoint)}: is a standby")
            standby = standby or endpoint
    if standby is None or writable:
        raise MapUnavailable(f"the catalog is away: {'; '.join(reasons)}")
    return standby


async def recovering(session: Session) -> bool:
    """Whether the server is a standby."""
    return bool(await session.fetchval("select pg_is_in_recovery()"))


def _place(endpoint: Endpoint) -> str:
    return f"{endpoint.name} ({endpoint.host}:{endpoint.port}/{endpoint.database})"


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
