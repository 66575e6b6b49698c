"""What a database needs before it can serve: roles, the schema `auth` and its helpers, grants."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import asyncpg
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random

from router.backend_settings import BackendSettings
from router.errors import ShardDown
from router.live.failures import EndpointLost
from router.live.opening import LoginSource, log_in
from router.live.preamble import quote_literal
from router.setup_errors import DatabaseNotPrepared, PreparedTransactionsOff
from shardmap import CATALOG, Endpoint, ShardId, ShardMap, claim_number

ROLES_SQL: Final = files("router.catalogue").joinpath("roles.sql").read_text()
TWO_PHASE_SQL: Final = files("router.catalogue").joinpath("two_phase.sql").read_text()
WRITE_KEYS_SQL: Final = files("router.catalogue").joinpath("write_keys.sql").read_text()
AUTH_SQL: Final = files("router.catalogue").joinpath("auth.sql").read_text()
FENCES_SQL: Final = files("router.catalogue").joinpath("fences.sql").read_text()
IDS_SQL: Final = files("router.catalogue").joinpath("ids.sql").read_text()
GRANTS_SQL: Final = files("router.catalogue").joinpath("grants.sql").read_text()

EDITION: Final = "Fluxshard helper functions, edition 1"
"""The comment on schema `auth`, set by auth.sql: the helpers are installed, and they are these."""
IDS_EDITION: Final = "Fluxshard ids, edition 1"
"""How the comment on `fluxshard.next_id()` begins, set by ids.sql."""
FENCES_EDITION: Final = "Fluxshard fences, edition 2"
"""How the comment on `fluxshard.enter()` begins, set by fences.sql."""
LOCK: Final = 0x666C_7578_0002
"""The advisory lock under which one database is prepared by one server at a time."""
ATTEMPTS: Final = 5

_INSTALLED: Final = (
    "SELECT pg_catalog.obj_description(pg_catalog.to_regnamespace('auth'), 'pg_namespace')"
)
_DECISIONS: Final = "SELECT pg_catalog.to_regclass('fluxshard.decision')"
_WRITE_KEYS: Final = "SELECT pg_catalog.to_regclass('fluxshard.write_key')"
_IDS_INSTALLED: Final = (
    "SELECT pg_catalog.obj_description("
    "pg_catalog.to_regprocedure('fluxshard.next_id()'), 'pg_proc')"
)
_FENCES_INSTALLED: Final = (
    "SELECT pg_catalog.obj_description("
    "pg_catalog.to_regprocedure('fluxshard.enter(text, bigint)'), 'pg_proc')"
)
_RACES: Final = (
    asyncpg.InternalServerError,  # XX000 "tuple concurrently updated"
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.DuplicateObjectError,
    asyncpg.DuplicateSchemaError,
)
"""Roles belong to the server: preparing two of its databases at once may meet any of these."""


async def prepare_database(
    connection: "asyncpg.Connection[asyncpg.Record]",
    *,
    exposed: Sequence[str] = ("public",),
    name: str = "the database",
    number: int | None = None,
) -> None:
    """Make what is missing, in the database of this session of the login role. Safe to race.

    `name` is what an error calls the database, `number` the shard's part of ids.

    Raises:
        DatabaseNotPrepared: The login role lacks the right to; the SQL to run by hand is in it.
        NumberTaken: It makes ids with another number already.
        Exception: Other errors of the driver pass through.
    """
    login = await connection.fetchval("SELECT CURRENT_USER::text")
    try:
        await AsyncRetrying(
            retry=retry_if_exception_type(_RACES),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random(0.01, 0.1),
            reraise=True,
        )(_prepare, connection, exposed, number)
    except asyncpg.InsufficientPrivilegeError as error:
        raise DatabaseNotPrepared(
            f"{name} cannot be prepared: {error.message or error}", by_hand(exposed, login)
        ) from error


def by_hand(exposed: Sequence[str], login: str) -> str:
    """The SQL that a superuser runs in the database where the login role may not."""
    return "\n".join(
        (
            f"SET fluxshard.login = {quote_literal(login)};",
            f"SET fluxshard.exposed = {quote_literal(json.dumps(list(exposed)))};",
            ROLES_SQL,
            AUTH_SQL,
            TWO_PHASE_SQL,
            WRITE_KEYS_SQL,
            IDS_SQL,
            FENCES_SQL,
            GRANTS_SQL,
        )
    )


async def prepare_cluster(
    shard_map: ShardMap, login: LoginSource, settings: BackendSettings
) -> None:
    """Prepare the primary of every shard and of the catalog, whoever that is now.

    A shard without a primary is left as it is, if a replica of it says that it was prepared.

    Raises:
        DatabaseNotPrepared: The login role lacks the right to.
        PreparedTransactionsOff: A primary of several shards allows no prepared transactions.
        NumberTaken: A server makes ids with the number of another shard.
        ShardDown: Nobody of a shard answers, or only a replica that was never prepared.
    """
    seen: set[tuple[str, int, str]] = set()
    several = len(shard_map.shards) > 1
    for shard in shard_map.shards.values():
        await _prepare_one_of(
            shard.id,
            shard.endpoints,
            login,
            settings,
            shard_map.number(shard.id),
            several=several,
        )
        seen.update(endpoint.address for endpoint in shard.endpoints)
    catalog = (shard_map.catalog, *shard_map.catalog_replicas)
    if shard_map.catalog.address not in seen:
        await _prepare_one_of(CATALOG, catalog, login, settings, shard_map.number(CATALOG))


async def check_prepared_transactions(
    connection: "asyncpg.Connection[asyncpg.Record]", server: str
) -> None:
    """Make sure that the server can take part in commits on several shards.

    Raises:
        PreparedTransactionsOff: It cannot: its `max_prepared_transactions` is 0.
    """
    if int(await connection.fetchval("SHOW max_prepared_transactions")) == 0:
        raise PreparedTransactionsOff(server)


async def _prepare_one_of(  # noqa: PLR0913 - what it needs of the map
    shard: ShardId,
    endpoints: Sequence[Endpoint],
    login: LoginSource,
    settings: BackendSettings,
    number: int,
    *,
    several: bool = False,
) -> None:
    """`several`: there are more shards, so that this one must be able to prepare transactions."""
    reasons: list[str] = []
    prepared = False
    for endpoint in endpoints:
        try:
            async with log_in(shard, endpoint, login, settings) as session:
                if not await session.fetchval("SELECT pg_catalog.pg_is_in_recovery()"):
                    host, port, database = endpoint.address
                    if several:
                        await check_prepared_transactions(
                            session, f"{endpoint.name} ({host}:{port})"
                        )
                    await prepare_database(
                        session,
                        exposed=settings.exposed_schemas,
                        name=f"{endpoint.name} ({host}:{port}/{database})",
                        number=number,
                    )
                    return
                installed = await session.fetchval(_INSTALLED)
        except EndpointLost as error:
            reasons.append(error.message)
        else:
            prepared = prepared or installed is not None
            reasons.append(f"{endpoint.name} is a replica")
    if not prepared:
        raise ShardDown(shard, f"shard {shard} cannot be prepared: {'; '.join(reasons)}")


async def _prepare(
    connection: "asyncpg.Connection[asyncpg.Record]", exposed: Sequence[str], number: int | None
) -> None:
    async with connection.transaction():
        await connection.execute("SET TRANSACTION READ WRITE")  # our sessions are read only
        await connection.execute(f"SELECT pg_catalog.pg_advisory_xact_lock({LOCK})")
        names = quote_literal(json.dumps(list(exposed)))
        await connection.execute(
            f"SELECT pg_catalog.set_config('fluxshard.exposed', {names}, true),"
            " pg_catalog.set_config('fluxshard.login', '', true)"
        )
        await connection.execute(ROLES_SQL)
        if await connection.fetchval(_INSTALLED) != EDITION:
            await connection.execute(AUTH_SQL)
        if await connection.fetchval(_DECISIONS) is None:
            await connection.execute(TWO_PHASE_SQL)
        if await connection.fetchval(_WRITE_KEYS) is None:
            await connection.execute(WRITE_KEYS_SQL)
        installed = await connection.fetchval(_IDS_INSTALLED)
        if installed is None or not installed.startswith(IDS_EDITION):
            await connection.execute(IDS_SQL)
        installed = await connection.fetchval(_FENCES_INSTALLED)
        if installed is None or not installed.startswith(FENCES_EDITION):
            await connection.execute(FENCES_SQL)
        if number is not None:
            await claim_number(connection, number)
        await connection.execute(GRANTS_SQL)
