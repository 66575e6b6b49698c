"""Who may migrate: one session of the cluster, which holds an advisory lock in every database.

The lock in the catalog keeps others out. Those in the shards' own databases are for what a killed
program left behind: a server that still runs its statement has that lock, and nobody else begins.
"""

from typing import Final

import asyncpg
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random

from server.migrate.errors import LockLost, MigrationLocked
from server.migrate.session import Session
from shardmap import ShardId

LOCK: Final = 0x666C_7578_0004
LEFT_BEHIND_S: Final = 10.0
"""How long to wait for a server to notice that the program which had the lock is gone."""

_TRY: Final = f"select pg_try_advisory_lock({LOCK})"
_HOLDER: Final = """
select a.pid, a.usename, a.application_name, a.client_addr::text as address, a.backend_start, a.state
from pg_catalog.pg_locks l
join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
    and (l.classid::bigint << 32 | l.objid::bigint) = $1
"""
_MOVES: Final = "select to_regclass('fluxshard.moves') is not null"
_MOVING: Final = """
select id, units, state from fluxshard.moves where not state = any ($1) order by id limit 1
"""
_AT_REST: Final = ["moved", "cleaned", "aborted", "rolled_back"]
"""States of moves that copy nothing; see `server.moves`."""
_BLOCKERS: Final = """
select a.pid, a.usename, a.application_name, a.state, a.xact_start
from pg_catalog.pg_stat_activity a
where a.pid <> pg_backend_pid() and a.datname = current_database() and a.xact_start is not null
    and exists (
        select from pg_catalog.pg_locks l
        where l.pid = a.pid and l.granted and l.locktype = 'relation'
            and l.relation = any (select to_regclass(name) from unnest($1::text[]) as name))
order by a.xact_start limit 3
"""


async def take_lock(session: Session, database: ShardId, wait_s: float) -> None:
    """Take the lock of one database for as long as the session lives.

    Raises:
        MigrationLocked: Somebody else has it, who is named.
    """
    await AsyncRetrying(
        retry=retry_if_exception_type(MigrationLocked),
        stop=stop_after_delay(wait_s),
        wait=wait_random(0.1, 0.5),
        reraise=True,
    )(_take, session, database)


async def ask_keeper(session: Session, query: str) -> None:
    """Run a statement in the session that keeps others out, which shows that it still lives.

    Raises:
        LockLost: It does not.
    """
    try:
        await session.execute(query)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise LockLost(
            f"the session on the catalog that keeps others from migrating has ended ({error});"
            " what is done is in the ledgers, nothing more was begun"
        ) from error


async def blockers(session: Session, relations: list[str]) -> str:
    """Who holds locks on these relations, the oldest transaction first."""
    rows = await session.fetch(_BLOCKERS, [quoted_name(name) for name in relations])
    return "; ".join(
        f"pid {row['pid']} ({row['usename']}, {row['application_name'] or 'unnamed'}, "
        f"{row['state']}, in a transaction since {row['xact_start']:%H:%M:%S})"
        for row in rows
    )


def quoted_name(name: str) -> str:
    """`schema.name` as SQL reads it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split(".", 1))


async def _refuse_moves(session: Session) -> None:
    """Tables may not change while rows of theirs are on their way to another shard."""
    if not await session.fetchval(_MOVES):
        return
    row = await session.fetchrow(_MOVING, _AT_REST)
    if row is not None:
        raise MigrationLocked(
            f"move {row['id']} ({', '.join(row['units'][:3])}) is {row['state']}: tables do not change"
            " while rows move; `fluxshard moves` shows how far it is"
        )


async def _take(session: Session, database: ShardId) -> None:
    if await session.fetchval(_TRY):
        await _refuse_moves(session)
        return
    row = await session.fetchrow(_HOLDER, LOCK)
    if row is None:
        holder = "somebody else"
    else:
        where = f" from {row['address']}" if row["address"] else ""
        holder = (
            f"{row['application_name'] or row['usename']} (pid {row['pid']}{where}, since "
            f"{row['backend_start']:%Y-%m-%d %H:%M:%S}, {row['state'] or 'state unknown'})"
        )
    raise MigrationLocked(f"{holder} is migrating {database}")
