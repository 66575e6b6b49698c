"""What we ask a server: which role it has, how far it is, who follows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from server.embedded.configuration import DATABASE, SUPERUSER
from server.embedded.errors import ServerUnreachable
from server.embedded.record import ServerRecord
from server.embedded.site import Site

CONNECT_LIMIT_S: Final = 5.0
ANSWER_LIMIT_S: Final = 60.0

_STATE: Final = """
SELECT pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery()
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_flush_lsn() END,
       pg_last_wal_replay_lsn(),
       coalesce((SELECT wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')
                   FROM pg_stat_activity WHERE backend_type = 'startup'), true),
       (SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming'),
       current_setting('data_directory')
"""
_FOLLOWERS: Final = """
SELECT application_name, state, sync_state, pg_current_wal_flush_lsn() - replay_lsn
  FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')
"""
_ANSWERLESS: Final = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass(frozen=True, slots=True)
class State:
    """A running server as it describes itself."""

    in_recovery: bool
    lsn: int
    """On a primary the end of its durable WAL; on a standby of what it has received or replayed."""
    replayed: int
    """On a standby the end of the last whole record: what it received may end with a part of one,
    which a promotion drops."""
    settled: bool
    """Whether a standby has replayed all WAL that it has of its own."""
    streaming: int | None
    """The timeline that a standby receives just now; None: it receives nothing."""


@dataclass(frozen=True, slots=True)
class Follower:
    """A standby as its primary sees it."""

    name: str
    streaming: bool
    sync_state: str
    lag_bytes: int | None
    """WAL that is not yet replayed there."""


@asynccontextmanager
async def session(
    site: Site, server: ServerRecord, *, database: str = "postgres"
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A superuser's connection. Its commits do not wait for standbys, which may not be there yet.

    Raises:
        ServerUnreachable: The server does not let us in, or fails to answer while we are there.
    """
    at = site.address(server)
    try:
        connection = await asyncpg.connect(
            host=at.host,
            port=at.port,
            user=SUPERUSER,
            password=site.secret,
            database=database,
            ssl=False,
            target_session_attrs=SessionAttribute.any,  # else PGTARGETSESSIONATTRS would count
            timeout=CONNECT_LIMIT_S,
            command_timeout=ANSWER_LIMIT_S,
            server_settings={"application_name": "fluxshard", "synchronous_commit": "local"},
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_LIMIT_S)
    except _ANSWERLESS as error:
        raise ServerUnreachable(f"{server.name} does not answer: {error}") from error


async def state(site: Site, server: ServerRecord) -> State:
    """What the server says of itself.

    Raises:
        ServerUnreachable: It says nothing, or another server answered in its place.
    """
    async with session(site, server) as connection:
        [(in_recovery, lsn, replayed, settled, streaming, data)] = await connection.fetch(_STATE)
    if data != str(site.data(server)):
        raise ServerUnreachable(f"another server, of {data}, answers in place of {server.name}")
    return State(in_recovery, lsn or 0, replayed or 0, settled, streaming)


async def followers(site: Site, server: ServerRecord) -> tuple[Follower, ...]:
    """The standbys that are connected to the primary, in order of name."""
    async with session(site, server) as connection:
        rows = await connection.fetch(_FOLLOWERS)
    return tuple(
        sorted(
            (
                Follower(name, streaming == "streaming", sync, None if lag is None else int(lag))
                for name, streaming, sync, lag in rows
            ),
            key=lambda follower: follower.name,
        )
    )


async def make_database(site: Site, server: ServerRecord) -> None:
    """Create our database on a new primary, if it is not there."""
    async with session(site, server) as connection:
        if not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE
        ):
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')


async def advance(site: Site, server: ServerRecord) -> None:
    """Let a primary write a WAL record.

    pg_rewind asks its target to replay up to where the source's next record will begin. After a
    switch of WAL files that is past the last record, and an idle primary writes none for 15 s.
    """
    async with session(site, server) as connection:
        await connection.execute("SELECT pg_create_restore_point('fluxshard')")


async def promote(site: Site, server: ServerRecord, limit_s: int) -> bool:
    """Make a standby a primary; whether it became one in time.

    The checkpoint afterwards writes the new timeline where pg_rewind looks for it.
    """
    async with session(site, server) as connection:
        promoted = await connection.fetchval("SELECT pg_promote(true, $1)", limit_s)
        if promoted:
            await connection.execute("CHECKPOINT")
    return bool(promoted)
