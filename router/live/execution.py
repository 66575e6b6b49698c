"""The forms in which one statement runs on one connection, and what they say about its outcome.

A plain read is one round trip. Whatever may run code of users, or has less time than the session
allows by itself, runs in a transaction whose first message carries time limit, role and claims.
"""

import asyncio
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

import asyncpg

from router.backends import ShardQuery
from router.context import Deadline, QueryContext
from router.environment import ASKED, Environment, Told
from router.errors import (
    CommitUnknown,
    DeadlineExceeded,
    RowCountUnexpected,
    StatementFailed,
)
from router.live.connection import HeldConnection, Prepared
from router.live.freshness import Position
from router.live.messages import Row, Unsendable, position
from router.live.one_sync import claims_message
from router.live.preamble import COMMIT, commit_and_clean, rollback_and_clean
from shardmap import ShardId

PLAIN_SHARE: Final = 0.9
"""A read with this share of the session's `statement_timeout` left needs no shorter one."""


class Rows(NamedTuple):
    """What a statement gave."""

    rows: Sequence[tuple[object, ...]]
    affected: int
    columns: tuple[str, ...]


class Reading(NamedTuple):
    """What a read gave, and who the server was: in recovery or not, and how far."""

    rows: Rows
    in_recovery: bool
    lsn: int


class Stage(Enum):
    """How far a write has come. Before COMMIT nothing of it can remain."""

    BEGIN = auto()
    RUN = auto()
    COMMIT = auto()
    POSITION = auto()
    """Committed; the position after it is being read."""
    DONE = auto()


async def read_plainly(held: HeldConnection, query: ShardQuery, deadline: Deadline) -> Reading:
    """Run a read as it is; its role is the session's. One round trip if the position is inline."""
    records, prepared = await held.fetch(query.sql, query.args, deadline.remaining_s())
    if query.inline_position:
        return inline_reading(records, prepared, query)
    in_recovery, lsn = await held.read_position(deadline.remaining_s())
    return Reading(_rows(records, prepared, query), in_recovery, lsn)


async def take_note(
    held: HeldConnection, environment: Environment, shard: ShardId, deadline: Deadline
) -> None:
    """Ask in the open transaction what code of users has told on the shard."""
    ((status, headers),), _ = await held.fetch(ASKED, (), left_s(deadline))
    environment.told[shard] = Told(status, headers)


async def read_in_transaction(
    held: HeldConnection, query: ShardQuery, context: QueryContext, shard: ShardId
) -> Reading:
    """Run a read with role, claims and time limit of its own, and leave a clean session."""
    deadline = context.deadline
    await held.execute(
        held.begin(context, write=False, timeout_ms=left_ms(deadline)), left_s(deadline)
    )
    reading = await read_plainly(held, query, deadline)
    if context.environment is not None:
        await take_note(held, context.environment, shard, deadline)
    end = commit_and_clean(held.role) if query.claims else COMMIT
    await held.execute(end, left_s(deadline))
    return reading


async def read_in_one_sync(
    held: HeldConnection,
    query: ShardQuery,
    context: QueryContext,
    timeout_s: float,
    shard: ShardId,
) -> Reading | None:
    """Run a read that gives one envelope, with role and claims, in one round trip.

    None: it, or an argument of it, cannot travel so; nothing was sent.
    """
    if query.row_count_column is None:
        return None
    try:
        if held.pooled or context.environment is not None:
            rows = await _in_one_packet(held, query, context, timeout_s, shard)
        else:
            claims = claims_message(context.role, context.claims, context.tenant or "")
            rows = await held.one_sync.ask(query.sql, query.args, claims, held.role, timeout_s)
        ((body, count, *total, in_recovery, lsn),) = rows
    except Unsendable:
        return None
    except UnicodeEncodeError as error:
        raise StatementFailed("22021", "text for PostgreSQL cannot contain surrogates") from error
    if body is None or count is None:
        raise AssertionError("an envelope holds JSON and its number of rows")
    counts = (int(count), *(None if one is None else int(one) for one in total))
    return Reading(Rows(((body.decode(), *counts),), int(count), ()), *position(in_recovery, lsn))


async def _in_one_packet(
    held: HeldConnection,
    query: ShardQuery,
    context: QueryContext,
    timeout_s: float,
    shard: ShardId,
) -> list[Row]:
    """The same behind a pooler, or with an environment: BEGIN, statement and COMMIT at once."""
    before = held.begin(context, write=False, timeout_ms=left_ms(context.deadline))
    after = commit_and_clean(held.role) if query.claims else COMMIT
    environment = context.environment
    if environment is None:
        return await held.one_sync.ask_within(before, query.sql, query.args, after, timeout_s)
    *rows, told = await held.one_sync.ask_within(
        before, query.sql, query.args, after, timeout_s, asked=ASKED
    )
    status, headers = (None if each is None else each.decode() for each in told)
    environment.told[shard] = Told(status, headers)
    return rows


class Write:
    """One write on one connection, at most once; `stage` says how far it came."""

    __slots__ = ("stage",)

    def __init__(self) -> None:
        self.stage = Stage.BEGIN

    async def run(
        self, held: HeldConnection, query: ShardQuery, context: QueryContext, shard: ShardId
    ) -> tuple[Rows, Position]:
        """Run the statement and commit it; up to where the shard's WAL then is durable.

        The session is cleaned along with COMMIT, whatever the statement ran: triggers may have
        changed it.

        Raises:
            RowCountUnexpected: Before COMMIT.
            RowsTooMany: The same.
            CommitUnknown: COMMIT did not end in time.
            Exception: What the driver raises; `stage` tells what it means.
        """
        deadline = context.deadline
        begin = held.begin(context, write=True, timeout_ms=left_ms(deadline), entries=query.entries)
        await held.execute(begin, left_s(deadline))
        self.stage = Stage.RUN
        records, prepared = await held.fetch(query.sql, query.args, left_s(deadline))
        rows = _rows(records, prepared, query)
        if query.exactly is not None and rows.affected != query.exactly:
            raise RowCountUnexpected(query.exactly, rows.affected)
        end = commit_and_clean(held.role)
        environment = context.environment
        if environment is not None:
            environment.check_rows(rows.affected)
            await take_note(held, environment, shard, deadline)
            if environment.rolled_back:
                end = rollback_and_clean(held.role)
        remaining_s = left_s(deadline)
        self.stage = Stage.COMMIT
        held.abandonable = False
        await run_to_its_end(held, end, remaining_s)
        self.stage = Stage.POSITION
        position = await held.written_position(deadline.remaining_s())
        held.abandonable = True
        self.stage = Stage.DONE
        return rows, position


async def run_to_its_end(held: HeldConnection, message: str, timeout_s: float) -> None:
    """Send a message that commits (or prepares), without ever cancelling it.

    PostgreSQL answers a cancel of a commit that waits for its standby with success and a warning.
    So when time runs out, or the caller leaves, the connection is dropped instead: the driver
    sends no cancel for a connection that is gone, and the server goes on waiting.

    Raises:
        CommitUnknown: Time ran out.
        Exception: What the driver raises.
    """
    committing = asyncio.ensure_future(held.execute(message, None))
    committing.add_done_callback(_taken_note_of)
    ended = False
    try:
        await asyncio.wait((committing,), timeout=timeout_s)
        ended = committing.done()
    finally:
        if not ended:
            held.drop()  # which ends the task at once
            await asyncio.wait((committing,))
    if not ended:
        raise CommitUnknown("the server did not answer in time while it committed")
    committing.result()


async def run_statement(held: HeldConnection, query: ShardQuery, deadline: Deadline) -> Rows:
    """Run the statement in the transaction that is open.

    Raises:
        DeadlineExceeded: No time was left.
        Exception: What the driver raises.
    """
    records, prepared = await held.fetch(query.sql, query.args, left_s(deadline))
    return _rows(records, prepared, query)


def _taken_note_of(task: "asyncio.Future[None]") -> None:
    """Retrieve the result, so that a task whose caller left is no unheard error."""
    if not task.cancelled():
        task.exception()


def inline_reading(
    records: Sequence[asyncpg.Record], prepared: Prepared, query: ShardQuery
) -> Reading:
    """The single row without the two columns of its position."""
    (record,) = records
    row: tuple[object, ...] = record[:-2]
    found = query.row_count_column
    affected = 1 if found is None else _number(row[found])
    rows = Rows((row,), affected, prepared.outer)
    return Reading(rows, record[-2], record[-1] or 0)


def _rows(records: Sequence[asyncpg.Record], prepared: Prepared, query: ShardQuery) -> Rows:
    rows = [tuple(record) for record in records]
    if query.row_count_column is not None:
        affected = _number(rows[0][query.row_count_column])
    else:
        affected = _affected(prepared.statement.get_statusmsg())
    return Rows(rows, affected, prepared.columns)


def _affected(tag: str | None) -> int:
    """The number at the end of a command tag: `INSERT 0 3`, `UPDATE 2`, `SELECT 5`."""
    last = tag.rpartition(" ")[2] if tag else ""
    return int(last) if last.isdecimal() else 0


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a row count is an integer, not {type(value).__name__}")
    return value


def left_s(deadline: Deadline) -> float:
    """Seconds left.

    Raises:
        DeadlineExceeded: None.
    """
    remaining_s = deadline.remaining_s()
    if remaining_s <= 0:
        raise DeadlineExceeded("the request's time ran out")
    return remaining_s


def left_ms(deadline: Deadline) -> int:
    """Milliseconds left, rounded up and one more: our own clock is to ring first."""
    return int(left_s(deadline) * 1000) + 2
