"""The ledger of one database: which versions it has, and how far the unfinished ones are."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from server.migrate.files import Migration
from server.migrate.plan import Direction, Entry, State, Work
from server.migrate.session import Session

INSTALL_LOCK: Final = 0x666C_7578_0003
"""The advisory lock under which the ledger's table is made."""

_LEDGER: Final = files("server.migrate").joinpath("ledger.sql").read_text()
_EXISTS: Final = "select to_regclass('fluxshard.migrations') is not null"
_ALL: Final = """
select version, name, checksum, state, steps, done, running, started_at, finished_at, duration_s,
       applied_by as by
from fluxshard.migrations order by version
"""
_BEGIN: Final = """
insert into fluxshard.migrations (version, name, checksum, state, steps, applied_by)
values ($1, $2, $3, 'applying', $4, $5)
on conflict (version) do update set checksum = excluded.checksum, steps = excluded.steps,
    applied_by = excluded.applied_by
"""
_BEGIN_DOWN: Final = """
update fluxshard.migrations set state = 'reverting', done = '{}', running = null, steps = $2,
    applied_by = $3
where version = $1 and state <> 'reverting'
"""
_RUNNING: Final = "update fluxshard.migrations set running = $2 where version = $1"
_DONE: Final = """
update fluxshard.migrations set done = done || $2::text, running = null where version = $1
"""
_FINISH: Final = """
update fluxshard.migrations
set state = 'applied', running = null, finished_at = clock_timestamp(),
    duration_s = extract(epoch from clock_timestamp() - started_at)
where version = $1
"""
_FORGET: Final = "delete from fluxshard.migrations where version = $1"


_ADOPT: Final = """
insert into fluxshard.migrations
    (version, name, checksum, state, steps, applied_by, finished_at, duration_s)
values ($1, $2, $3, 'applied', 0, $4, clock_timestamp(), 0)
"""


async def read_ledger(session: Session) -> dict[int, Entry]:
    """All rows by version; none, where nothing was ever applied."""
    if not await session.fetchval(_EXISTS):
        return {}
    rows = await session.fetch(_ALL)
    return {
        row["version"]: Entry(
            **{**dict(row), "state": State(row["state"]), "done": tuple(row["done"])}
        )
        for row in rows
    }


async def install_ledger(session: Session) -> None:
    """Make the table where it is missing. Safe to race."""
    if await session.fetchval(_EXISTS):
        return
    async with session.transaction():
        await session.execute(f"select pg_advisory_xact_lock({INSTALL_LOCK})")
        await session.execute(_LEDGER)


async def adopt(session: Session, migration: Migration, by: str) -> None:
    """Note a version as applied that somebody else has applied."""
    await session.execute(
        _ADOPT, migration.version, migration.name, migration.up.checksum, f"{by} (baseline)"
    )


async def begin(session: Session, work: Work, by: str) -> None:
    """Note that the version is being done or undone; an unfinished one keeps its steps."""
    migration, steps = work.migration, len(work.steps)
    if work.direction is Direction.UP:
        await session.execute(
            _BEGIN, migration.version, migration.name, migration.up.checksum, steps, by
        )
    else:
        await session.execute(_BEGIN_DOWN, migration.version, steps, by)


async def note_running(session: Session, work: Work, step: str | None) -> None:
    """Note which step runs outside of a transaction now; None: its end is known."""
    await session.execute(_RUNNING, work.migration.version, step)


async def note_done(session: Session, work: Work, step: str) -> None:
    """Note that a step is done: in the transaction of the step, where it has one."""
    await session.execute(_DONE, work.migration.version, step)


async def finish(session: Session, work: Work) -> None:
    """Note that the version is there, or that it is gone."""
    query = _FINISH if work.direction is Direction.UP else _FORGET
    await session.execute(query, work.migration.version)


def newest(ledger: Mapping[int, Entry]) -> int | None:
    """The highest version that is wholly there."""
    return max((v for v, entry in ledger.items() if entry.state is State.APPLIED), default=None)
