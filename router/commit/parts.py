"""The parts of a write on several shards are run, each in a transaction that stays open."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from router.backends import Together
from router.commit.copies import copied_rows
from router.commit.participant import Participant
from router.environment import Environment
from router.errors import RowCountUnexpected, SchemasDiffer, StatementFailed
from router.gather import first_failure
from router.live.execution import Rows

T = TypeVar("T")

VIOLATED: Final = "23"
"""The class of SQLSTATEs of violated constraints."""
FOREIGN_KEY: Final = "23503"


async def ran_together(write: Together, seats: Sequence[Participant]) -> list[Rows]:
    """What the parts gave, one for each seat that is still needed: without rows to copy, one.

    Raises:
        RowCountUnexpected: All parts together gave another number of rows than asked for.
        SchemasDiffer: Parts gave different columns.
        RouterError: A part failed; the others were cancelled.
    """
    run = _ran_at_once if write.copied is None else _ran_and_copied
    ran = await run(write, seats)
    _check(write, ran)
    return ran


async def _ran_at_once(write: Together, seats: Sequence[Participant]) -> list[Rows]:
    """What each part gives, run at the same time; the first failure cancels the others.

    A constraint that is violated cancels nobody: what PostgreSQL would name of several violated
    ones is known when all have run. It checks foreign keys last.
    """
    together = zip(write.parts, seats, strict=True)
    ran = await at_once(
        [
            _or_violation(seat.run(part.query, None, noting=bool(write.unique)))
            for part, seat in together
        ]
    )
    violations = [one for one in ran if isinstance(one, StatementFailed)]
    if violations:
        raise named(violations)
    return [one for one in ran if not isinstance(one, StatementFailed)]


def named(violations: Sequence[StatementFailed]) -> StatementFailed:
    """The one that PostgreSQL would name, had one server run all parts in their order."""
    return min(violations, key=lambda one: one.sqlstate == FOREIGN_KEY)


async def _or_violation(work: Coroutine[Any, Any, Rows]) -> Rows | StatementFailed:
    try:
        return await work
    except StatementFailed as failure:
        if failure.sqlstate.startswith(VIOLATED):
            return failure
        raise


async def _ran_and_copied(write: Together, seats: Sequence[Participant]) -> list[Rows]:
    """What the first part gives, then the others with that; without a row, the first alone."""
    first, *others = zip(write.parts, seats, strict=True)
    part, seat = first
    given = await seat.run(part.query, write.copied)
    kept, copies = copied_rows(given, part.query)
    if copies is None:
        return [kept]
    return [
        kept,
        *await at_once(
            [seat.run(part.query._replace(args=(copies,)), write.copied) for part, seat in others]
        ),
    ]


async def at_once(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, at the same time; the first failure cancels the others."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one) for one in work]
    except ExceptionGroup as failures:
        raise first_failure(failures) from failures
    return [task.result() for task in running]


async def surrounded(
    write: Together, seats: Sequence[Participant], ran: Sequence[Rows], environment: Environment
) -> None:
    """Let the request's environment hear of what ran, and have its say, while it can be undone.

    Raises:
        RowsTooMany: More rows are written than were allowed.
        ResponsesDiffer: Functions on several shards gave the response different headers.
        RouterError: A shard could not be asked.
    """
    copied = write.copied is not None
    environment.check_rows(ran[0].affected if copied else sum(rows.affected for rows in ran))
    await at_once([seat.take_note() for seat in seats])
    environment.response()


def _check(write: Together, ran: Sequence[Rows]) -> None:
    """Refuse what would be an answer that nobody asked for, while it can still be undone."""
    copied = write.copied is not None
    found = ran[0].affected if copied else sum(rows.affected for rows in ran)
    if write.exactly is not None and found != write.exactly:
        raise RowCountUnexpected(write.exactly, found)
    for part, rows in zip(write.parts, ran, strict=False):
        if not copied and rows.columns != ran[0].columns:
            raise SchemasDiffer(
                part.shard,
                f"rows of {write.parts[0].shard} and {part.shard} have different columns",
            )
