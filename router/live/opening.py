"""Opening sessions: logged in, proved to be on the right server, and with nobody unannounced between."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from router.backend_settings import BackendSettings
from router.errors import IdentityMismatch
from router.live.connection import HeldConnection, become
from router.live.failures import (
    DRIVER_ERRORS,
    EndpointFull,
    EndpointLost,
    refuses_connections,
    refuses_settings,
    unprepared,
)
from router.live.preamble import LOGIN, MARKER, opening, quote_identifier
from router.pooling_errors import PoolerUndeclared
from shardmap import (
    IDENTITY,
    CredentialsUnavailable,
    Endpoint,
    Identity,
    Login,
    Pooling,
    ShardId,
)

LoginSource = Callable[[Endpoint], Login]
"""Who to log in as, asked at every connect, so that a rotated password needs no restart."""

_KNOWN_TO_POOLERS: Final = {"application_name": "fluxshard"}
"""Others are refused by PgBouncer, or (`ignore_startup_parameters`) silently dropped."""


async def connect(
    endpoint: Endpoint, login: LoginSource, settings: BackendSettings
) -> "asyncpg.Connection[asyncpg.Record]":
    """A session of the login role, not yet proved; with our settings, unless a pooler refuses them.

    Raises:
        CredentialsUnavailable: The endpoint's credentials are not there.
        Exception: What the driver raises.
    """
    pooled = endpoint.pooling is not Pooling.NONE
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
        # For the driver's own queries; ours are kept in `HeldConnection`. Without one, statements
        # have no names, and are sent anew with each use: in one transaction, or in one message.
        statement_cache_size=0 if endpoint.pooling is Pooling.TRANSACTION else 32,
        max_cached_statement_lifetime=0,
        server_settings=_KNOWN_TO_POOLERS
        if pooled
        else {
            **_KNOWN_TO_POOLERS,
            "search_path": ", ".join(map(quote_identifier, settings.search_path)),
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
        EndpointFull: The server has no room for another connection.
        PoolerUndeclared: Somebody is in between.
        IdentityMismatch: Another server answers there.
        StatementFailed: The login role cannot become the role.
    """
    raw = None
    proved = False
    try:
        raw = await connect(endpoint, login, settings)
        await _see_through(raw, endpoint, identity.shard_id)
        if not settings.bare:
            await prove(raw, endpoint, identity)
        if role is not None and role != LOGIN:
            await become(raw, role)
        proved = True
    except (*DRIVER_ERRORS, CredentialsUnavailable) as error:
        if refuses_connections(error):
            raise EndpointFull(identity.shard_id, endpoint.name) from error
        if refuses_settings(error):
            raise _undeclared(endpoint, identity.shard_id) from error
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


async def _see_through(
    raw: "asyncpg.Connection[asyncpg.Record]", endpoint: Endpoint, shard: ShardId
) -> None:
    """Make sure that nobody is in between who was not declared.

    The server tells its process id at the start of the session, for cancelling. A pooler that
    hands out the server's sessions tells an id of its own there.

    Raises:
        PoolerUndeclared: The two are not the same.
    """
    if endpoint.pooling is not Pooling.NONE:
        return
    if await raw.fetchval("SELECT pg_catalog.pg_backend_pid()") != raw.get_server_pid():
        raise _undeclared(endpoint, shard)


def _undeclared(endpoint: Endpoint, shard: ShardId) -> PoolerUndeclared:
    return PoolerUndeclared(
        shard,
        f"a connection pooler stands before endpoint {endpoint.name}"
        f" ({endpoint.host}:{endpoint.port}), and the shard map says that nobody does",
    )


@asynccontextmanager
async def log_in(
    shard: ShardId, endpoint: Endpoint, login: LoginSource, settings: BackendSettings
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A session of the login role for set-up work, not proved; closed with the context.

    It is past the pooler where the map says how.

    Raises:
        PoolerUndeclared: Somebody is in between.
        EndpointLost: The endpoint cannot be reached, or was lost meanwhile.
    """
    raw = None
    endpoint = endpoint.straight
    try:
        raw = await connect(endpoint, login, settings)
        await _see_through(raw, endpoint, shard)
        yield raw
    except (*DRIVER_ERRORS, CredentialsUnavailable) as error:
        if raw is not None and not raw.is_closed():
            raise
        if refuses_settings(error):
            raise _undeclared(endpoint, shard) from error
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
    """A session for a pool. `lifetime_share` spreads the ends of those opened together.

    Behind a pooler it runs as the login role between transactions, and each transaction says all
    that it depends on.
    """
    pooled = endpoint.pooling is not Pooling.NONE
    raw = await open_session(endpoint, login, settings, identity, None if pooled else role)
    marker = ""
    if endpoint.pooling is Pooling.SESSION:
        marker = f"{MARKER}{secrets.token_hex(8)}"
        try:
            await raw.execute(f"SET {marker} = ''")
        except DRIVER_ERRORS as error:
            raw.terminate()
            raise EndpointLost(
                identity.shard_id, endpoint.name, f"{endpoint.name}: {_text(error)}"
            ) from error
    return HeldConnection(
        raw,
        LOGIN if pooled else role,
        expires_at=time.monotonic() + settings.max_lifetime_s * lifetime_share,
        cache_size=0 if endpoint.pooling is Pooling.TRANSACTION else settings.statement_cache,
        opening=opening(settings.search_path, marker) if pooled else "",
    )
