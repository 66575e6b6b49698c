"""The single acts of a failover, each on one server by SQL, and each safe to repeat."""

import asyncio
from collections.abc import Sequence
from typing import Final

from server.failover.errors import FailoverBroken
from server.failover.servers import PROMOTE_TIMEOUT_S, Servers, Session

POLL_S: Final = 0.05
CUT_TIMEOUT_S: Final = 10.0
"""For sessions to end and receivers to stop, once they were told to."""

_IDLE: Final = "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver)"
_FOLLOWS: Final = """\
SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver
               WHERE status = 'streaming' AND received_tli >= $1)"""
_END_SESSIONS: Final = """\
SELECT count(pg_catalog.pg_terminate_backend(pid)) = 0 FROM pg_catalog.pg_stat_activity
WHERE datname = ANY ($1) AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()"""
_SHUT: Final = """\
SELECT datname::text FROM pg_catalog.pg_database WHERE NOT datallowconn AND datname = ANY ($1)"""
_SLOT: Final = """\
SELECT pg_catalog.pg_create_physical_replication_slot($1::text::name)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1::text::name)"""
_REPLAYED: Final = (
    "SELECT NOT pg_catalog.pg_is_in_recovery() OR pg_catalog.pg_last_wal_replay_lsn() >= $1"
)


async def cut_off(servers: Servers, name: str) -> None:
    """Let a replica receive nothing from its primary any more: what it has is all it gets."""
    async with servers.session(name) as session:
        await _set(session, "primary_conninfo", "")
        if not await _until(session, _IDLE, CUT_TIMEOUT_S):
            raise FailoverBroken(f"{name} goes on receiving from its primary")


async def receive(servers: Servers, name: str, conninfo: str) -> None:
    """Let a replica receive by this connection string."""
    async with servers.session(name) as session:
        await _set(session, "primary_conninfo", conninfo)


async def forget_cut(servers: Servers, name: str) -> None:
    """Take back what `cut_off` has set: a server that is rewound by this one would copy it."""
    async with servers.session(name) as session:
        await session.execute("ALTER SYSTEM RESET primary_conninfo")
        await session.execute("SELECT pg_catalog.pg_reload_conf()")


async def make_slot(servers: Servers, name: str, slot: str) -> None:
    """Make the slot that a replica will ask its new primary for."""
    async with servers.session(name) as session:
        await session.fetch(_SLOT, slot)


async def follows(servers: Servers, name: str, timeline: int, timeout_s: float) -> bool:
    """Whether a replica streams on the timeline, once it has had that much time."""
    async with servers.session(name) as session:
        return await _until(session, _FOLLOWS, timeout_s, timeline)


async def shut(servers: Servers, name: str, databases: Sequence[str]) -> int:
    """Let no client into the databases, and end those that are in; up to where its WAL then goes.

    What was not committed is rolled back. Not even superusers are let in; our own session is on
    another database. The message at the end makes an idle server write its last records out.
    """
    async with servers.session(name) as session:
        for database in databases:
            await session.execute(f"ALTER DATABASE {_identifier(database)} ALLOW_CONNECTIONS false")
        if not await _until(session, _END_SESSIONS, CUT_TIMEOUT_S, list(databases)):
            raise FailoverBroken(f"sessions of clients on {name} do not end")
        await session.execute(
            "SELECT pg_catalog.pg_logical_emit_message(true, 'fluxshard', 'shut')"
        )
        lsn: int = await session.fetchval("SELECT pg_catalog.pg_current_wal_flush_lsn()")
        return lsn


async def reopen(servers: Servers, name: str, databases: Sequence[str]) -> None:
    """Let clients into the databases again, where they are shut."""
    async with servers.session(name) as session:
        for (database,) in await session.fetch(_SHUT, list(databases)):
            await session.execute(f"ALTER DATABASE {_identifier(database)} ALLOW_CONNECTIONS true")


async def replayed(servers: Servers, name: str, lsn: int, timeout_s: float) -> bool:
    """Whether the replica has replayed up to there, once it has had that much time."""
    async with servers.session(name) as session:
        return await _until(session, _REPLAYED, timeout_s, lsn)


async def make_quorum(servers: Servers, name: str) -> None:
    """Let commits wait for one replica, whichever."""
    async with servers.session(name) as session:
        await _set(session, "synchronous_standby_names", "ANY 1 (*)")


async def promote(servers: Servers, name: str) -> int:
    """Make the replica a primary; its new timeline. pg_rewind finds it in the control file."""
    async with servers.session(name) as session:
        recovering = await session.fetchval("SELECT pg_catalog.pg_is_in_recovery()")
        if recovering and not await session.fetchval(
            "SELECT pg_catalog.pg_promote(true, $1)", PROMOTE_TIMEOUT_S
        ):
            raise FailoverBroken(f"{name} was not promoted within {PROMOTE_TIMEOUT_S} s")
        await session.execute("CHECKPOINT")
        timeline: int = await session.fetchval(
            "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()"
        )
        return timeline


async def _set(session: Session, name: str, value: str) -> None:
    await session.execute(f"ALTER SYSTEM SET {name} = {_literal(value)}")
    await session.execute("SELECT pg_catalog.pg_reload_conf()")


async def _until(session: Session, question: str, timeout_s: float, *args: object) -> bool:
    """Whether the question is answered with yes within the time."""
    clock = asyncio.get_running_loop()
    until = clock.time() + timeout_s
    while not await session.fetchval(question, *args):
        if clock.time() > until:
            return False
        await asyncio.sleep(POLL_S)
    return True


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else f"'{quoted}'"
