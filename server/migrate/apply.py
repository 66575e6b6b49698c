"""Running what was planned: step by step, each committed together with its line in the ledger.

A statement waits for a lock only shortly, since everybody else queues behind it; then the step is
undone and tried again, with growing pauses. What is committed is never run twice: after a failure
or a crash the next run goes on with the first step that the ledger lacks.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import asyncpg
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from server.migrate import ledger
from server.migrate.channel import SCHEMA_CHANNEL
from server.migrate.errors import LockNotGranted, OutcomeUnknown, StatementFailed
from server.migrate.indexes import clear_invalid, is_done
from server.migrate.locks import ask_keeper, blockers
from server.migrate.places import ALL
from server.migrate.plan import Step, Work
from server.migrate.routing import Routed
from server.migrate.session import Session, speaking_to
from shardmap import CATALOG, ShardId

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0

_PASSING: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""What passes when others have ended their transactions. Nothing of the step remains."""
_REPEATABLE: Final = frozenset(
    {"vacuum", "vacuum full", "analyze", "reindex", "cluster", "refresh", "create index",
     "drop index"}
)  # fmt: skip
"""Statements that may be run once more when nobody saw their end."""

_NOT_THERE: Final = frozenset({"42P01", "42704", "42883", "3F000"})
"""Undefined table, object, function and schema."""
_SAY_WHERE: Final = (
    "The statement names no table of the shard map, so it runs in every database; say where"
    " it belongs at the top of the file: -- fluxshard: only: shards"
)


class Unknown(StrEnum):
    """What to do with a statement that was begun and whose end nobody saw."""

    REFUSE = "refuse"
    REDO = "redo"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long statements may take. 0: as long as they need."""

    lock_timeout_s: float = 1.0
    """How long a statement waits for a lock, with everybody queueing behind it."""
    lock_patience_s: float = 300.0
    """For how long it is tried again."""
    statement_timeout_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What has just happened. `event`: `begun`, `waiting`, `rebuilt` or `done`."""

    event: str
    work: Work
    detail: str = ""
    seconds: float = 0.0


class Runner:
    """Runs works one after the other, on sessions that are open and hold the locks."""

    def __init__(
        self,
        sessions: Mapping[ShardId, Session],
        patience: Patience,
        by: str,
        report: Callable[[Progress], None],
        unknown: Unknown = Unknown.REFUSE,
    ) -> None:
        self._sessions = sessions
        self._patience = patience
        self._by = by
        self._report = report
        self._unknown = unknown
        self._catalog = sessions.get(CATALOG) or next(iter(sessions.values()))

    async def run(self, work: Work) -> None:
        """Do or undo one version in one database.

        Raises:
            StatementFailed: PostgreSQL refused a statement.
            LockNotGranted: Others kept a lock for all of our patience.
            OutcomeUnknown: An earlier run began a statement, and its end is not known.
            DatabaseAway: The database went away.
            LockLost: Others may have begun to migrate.
        """
        await ask_keeper(self._catalog, "select 1")
        session = self._sessions[work.database.name]
        began = time.monotonic()
        self._report(Progress("begun", work))
        with speaking_to(work.database, session):
            whole = len(work.steps) <= 1 and all(step.transaction for step in work.steps)
            if whole and not work.done:
                await self._patiently(work, work.steps, session, self._whole)
            else:
                await ledger.begin(session, work, self._by)
                for step in work.steps[work.done :]:
                    how = self._together if step.transaction else self._alone
                    await self._patiently(work, (step,), session, how)
                await ledger.finish(session, work)
        await ask_keeper(self._catalog, f"notify {SCHEMA_CHANNEL}")
        self._report(Progress("done", work, seconds=time.monotonic() - began))

    async def _whole(self, work: Work, steps: tuple[Step, ...], session: Session) -> None:
        """A version that is one transaction, or that has nothing to do in this database."""
        async with session.transaction():
            await ledger.begin(session, work, self._by)
            for step in steps:
                await self._statements(work, step, session)
                await ledger.note_done(session, work, step.checksum)
            await ledger.finish(session, work)

    async def _together(self, work: Work, steps: tuple[Step, ...], session: Session) -> None:
        (step,) = steps
        async with session.transaction():
            await self._statements(work, step, session)
            await ledger.note_done(session, work, step.checksum)

    async def _statements(self, work: Work, step: Step, session: Session) -> None:
        await session.execute(self._limits(work, "local", lock=True))
        for one in step.statements:
            await _execute(work, one, session)

    async def _alone(self, work: Work, steps: tuple[Step, ...], session: Session) -> None:
        """A statement that PostgreSQL commits by itself, possibly more than once."""
        (step,) = steps
        (one,) = step.statements
        if await self._settled(work, step, session):
            await ledger.note_done(session, work, step.checksum)
            return
        if one.deed.kind == "create index" and await clear_invalid(session, one.deed):
            self._report(Progress("rebuilt", work, f"the INVALID index {one.deed.creates}"))
        await ledger.note_running(session, work, step.checksum)
        # A lock that CONCURRENTLY waits for holds up nobody; giving up would leave a wreck.
        await session.execute(self._limits(work, "session", lock=not one.deed.concurrently))
        try:
            await _execute(work, one, session)
        except (StatementFailed, *_PASSING):
            await ledger.note_running(session, work, None)
            raise
        finally:
            with suppress(asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError):
                await session.execute("reset lock_timeout; reset statement_timeout")
        await ledger.note_done(session, work, step.checksum)

    async def _settled(self, work: Work, step: Step, session: Session) -> bool:
        """Whether an earlier run began the step, died, and it is done nevertheless."""
        entry, one = work.entry, step.statements[0]
        if entry is None or entry.running != step.checksum or self._unknown is Unknown.REDO:
            return False
        if self._unknown is Unknown.SKIP:
            return True
        done = await is_done(session, one.deed)
        if done is None and one.deed.kind not in _REPEATABLE:
            raise OutcomeUnknown(
                f"{work.script.file}:{one.statement.line}: {one.deed.kind.upper()} was begun on "
                f"{work.database.name}, and nobody saw its end. Look whether it is done, then "
                "go on with --skip, or run it again with --redo"
            )
        return bool(done)

    async def _patiently(
        self,
        work: Work,
        steps: tuple[Step, ...],
        session: Session,
        how: Callable[[Work, tuple[Step, ...], Session], Awaitable[None]],
    ) -> None:
        async def told(state: RetryCallState) -> None:
            if state.attempt_number == 1:
                held = await blockers(session, _relations(steps))
                self._report(Progress("waiting", work, held or "for a lock"))

        patience = self._patience
        try:
            await AsyncRetrying(
                retry=retry_if_exception_type(_PASSING),
                stop=stop_after_delay(patience.lock_patience_s),
                wait=wait_random_exponential(FIRST_PAUSE_S, LONGEST_PAUSE_S),
                before_sleep=told,
                reraise=True,
            )(how, work, steps, session)
        except _PASSING as error:
            held = await blockers(session, _relations(steps))
            raise LockNotGranted(
                f"{work.script.file}: {work.database.name}: no lock within "
                f"{patience.lock_patience_s:g} s of trying ({error})"
                + (f"; held by {held}" if held else "")
            ) from error

    def _limits(self, work: Work, scope: str, *, lock: bool) -> str:
        directives = work.script.directives
        lock_s = directives.lock_timeout_s
        statement_s = directives.statement_timeout_s
        lock_s = self._patience.lock_timeout_s if lock_s is None else lock_s
        statement_s = self._patience.statement_timeout_s if statement_s is None else statement_s
        return (
            f"set {scope} lock_timeout = '{round(lock_s * 1000) if lock else 0}ms';"
            f" set {scope} statement_timeout = '{round(statement_s * 1000)}ms'"
        )


async def _execute(work: Work, one: Routed, session: Session) -> None:
    try:
        await session.execute(one.statement.text)
    except (*_PASSING, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError):
        raise
    except asyncpg.PostgresError as error:
        position = getattr(error, "position", None)
        line = one.statement.line_at(int(position) - 1) if position else one.statement.line
        parts = [error.message or str(error), error.detail, error.hint]
        if error.sqlstate in _NOT_THERE and one.places == ALL != work.database.places:
            parts.append(_SAY_WHERE)
        raise StatementFailed(
            f"{work.script.file}:{line}: {work.database.name}: "
            f"{'. '.join(part for part in parts if part)} ({error.sqlstate})",
            error.sqlstate or "XX000",
        ) from error


def _relations(steps: tuple[Step, ...]) -> list[str]:
    found: set[str] = set()
    for step in steps:
        for one in step.statements:
            found.update(one.deed.targets, one.deed.mentions)
    return sorted(found)
