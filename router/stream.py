"""Answers in pieces: each shard's rows fetched while those before are sent, merged block by block.

However large an answer is, two batches of each shard are all of it that is held at any time.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

from router.analysis.query import Query, Reply
from router.backends import Access, Backends, ShardQuery, ShardRows
from router.context import Deadline, QueryContext
from router.gather import first_failure, gather
from router.plans.combine import combine
from router.plans.merging import Merging
from router.plans.order import Row
from router.plans.plan import Collect, Merge, Plan, PullUp, Single, Totals, shards_of
from router.statement import FEW_ROWS, SEPARATOR, WHOLE_ROWS, Piece, Result
from shardmap import ShardId

_WHOLE: Final = Merge((), None, 0)


async def stream(
    plan: Plan, query: Query, backends: Backends, context: QueryContext, longest_s: float
) -> "Result | Stream":
    """The answer of a plan: whole when it is small or must be, else in pieces.

    One shard that returns JSON is asked for its answer, cut behind `WHOLE_ROWS`, in one round
    trip; only if there is more, a cursor is opened. Several shards are asked for `FEW_ROWS` each
    first, and if one has more, by cursors at once.

    Raises:
        RouterError: The first failure; nothing is left open.
    """
    asked, form = plan.query, query.stream
    if form is not None and type(plan.combine) is Single:
        capped = ShardQuery(
            form.capped,
            asked.args,
            asked.access,
            asked.claims,
            asked.inline_position,
            None,
            asked.row_count_column,
            entries=asked.entries,
        )
        reply = await backends.run(shards_of(plan.route)[0], capped, context)
        if reply.affected <= WHOLE_ROWS:
            return combine(plan, (reply,))
    rows, merge = _rows_of(plan, query)
    if rows is None:
        return combine(plan, await gather(plan, backends, context))
    whole = await _few(plan, query, backends, context)
    if whole is not None:
        return whole
    each = asked._replace(
        sql=rows,
        inline_position=False,
        row_count_column=None,
        first_rows=WHOLE_ROWS // len(shards_of(plan.route)) + 1,  # more than whole, if all are full
    )
    opened = await _opened(plan._replace(query=each), backends, context, Deadline.after(longest_s))
    answer = Stream(opened, merge, plan.reply)
    large = await answer.begin(counted=plan.total)
    few = merge.limit is not None and merge.limit <= WHOLE_ROWS
    return answer if large and not few else await answer.whole()


async def _few(
    plan: Plan, query: Query, backends: Backends, context: QueryContext
) -> Result | None:
    """The answer of several shards in one round trip; None: one has more rows than `FEW_ROWS`."""
    if type(plan.combine) is not Merge or query.gather is None or query.gather.few is None:
        return None
    asked = plan._replace(query=plan.query._replace(sql=query.gather.few))
    replies = await gather(asked, backends, context)
    for reply in replies:
        texts = reply.rows[0][0]
        if isinstance(texts, list) and len(texts) > FEW_ROWS:
            return None
    return combine(plan, replies)


def _rows_of(plan: Plan, query: Query) -> tuple[str | None, Merge]:
    """The text that gives row after row, and how they are merged; None: it is answered whole."""
    match plan.combine:
        case Merge() as merge:
            small = merge.limit is not None and merge.limit + merge.offset <= WHOLE_ROWS
            return None if small or query.gather is None else query.gather.rows, merge
        case Single():
            if plan.query.access is Access.WRITE:
                return None, _WHOLE
            if plan.reply is Reply.ENVELOPE:
                return None if query.stream is None else query.stream.rows, _WHOLE
            return plan.query.sql, _WHOLE
        case Collect() | PullUp() | Totals():
            return None, _WHOLE


async def _opened(
    plan: Plan, backends: Backends, context: QueryContext, until: Deadline
) -> list[ShardRows]:
    """A cursor on each shard of the plan, in the route's order, with its first batch."""
    shards = shards_of(plan.route)
    if len(shards) == 1:
        return [await backends.open(shards[0], plan.query, context, until)]
    opened: list[ShardRows] = []
    complete = False

    async def one(shard: ShardId) -> ShardRows:
        rows = await backends.open(shard, plan.query, context, until)
        opened.append(rows)
        return rows

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(shard)) for shard in shards]
        complete = True
    except ExceptionGroup as failures:
        raise first_failure(failures) from failures
    finally:
        if not complete:
            for rows in opened:
                rows.abandon()
    return [task.result() for task in running]


class _Ahead:
    """One shard's rows. While a batch is used the next one is being fetched, and no more.

    Owns the task that fetches: `leave` ends it.
    """

    __slots__ = ("_held", "_rows", "_task")

    def __init__(self, rows: ShardRows) -> None:
        self._rows = rows
        self._held: deque[Sequence[Row]] = deque()
        self._task: asyncio.Task[Sequence[Row]] | None = None

    @property
    def ready(self) -> bool:
        """Whether the next batch is here."""
        return bool(self._held) or self._task is None or self._task.done()

    @property
    def going_on(self) -> bool:
        """Whether a batch is being fetched."""
        return self._task is not None

    async def batch(self) -> Sequence[Row]:
        """The next rows; none: there are no more."""
        return self._held.popleft() if self._held else await self._fetched()

    async def hold(self) -> int:
        """Fetch one batch more than is used, to know how many rows there are."""
        batch = await self._fetched()
        if batch:
            self._held.append(batch)
        return len(batch)

    async def _fetched(self) -> Sequence[Row]:
        if self._task is None:
            batch = await self._rows.batch()
        else:
            batch = await self._task
            self._task = None
        if not self._rows.ended:
            self._task = asyncio.get_running_loop().create_task(self._rows.batch())
        return batch

    def leave(self) -> "asyncio.Task[Sequence[Row]] | None":
        """Give the connection back at once; the task that was cancelled, to be waited for."""
        task, self._task = self._task, None
        if task is not None:
            task.add_done_callback(_taken_note_of)
            task.cancel()
        self._rows.abandon()
        return task


def _taken_note_of(task: "asyncio.Task[Sequence[Row]]") -> None:
    """Retrieve the failure of a task that nobody is concerned with any more."""
    if not task.cancelled():
        task.exception()


class Stream:
    """An answer in pieces, to be iterated over once, and to be closed in every outcome.

    A failure between two pieces is raised: what was given so far is then not the answer.
    """

    def __init__(self, opened: Sequence[ShardRows], merge: Merge, reply: Reply) -> None:
        self._json = reply is Reply.ENVELOPE
        columns = opened[0].columns
        self._width = 1 if self._json else len(columns) - len(merge.sort)
        self.columns = () if self._json else columns[: self._width]
        self.served = tuple(rows.served for rows in opened)
        """Who answers for each shard."""
        self.total: int | None = None
        """The number of rows without LIMIT and OFFSET, where it was asked for."""
        self._opened = opened
        self._ahead = [_Ahead(rows) for rows in opened]
        self._merging = Merging(
            len(opened), merge.sort, self._width, limit=merge.limit, offset=merge.offset
        )

    async def begin(self, *, counted: bool) -> bool:
        """Take the first batches; whether there are more than `WHOLE_ROWS` rows in all shards.

        To know it, rows are fetched until there are, or until there are no more. `counted`: rows
        end in the total of their shard. A shard without rows has a total of 0, since each is
        asked for more than no rows, from the first on.
        """
        found = total = 0
        complete = False
        try:
            for source, ahead in enumerate(self._ahead):
                batch = await ahead.batch()
                self._merging.feed(source, batch)
                found += len(batch)
                if counted and batch:
                    total += batch[0][-1]
            while found <= WHOLE_ROWS and (going_on := [a for a in self._ahead if a.going_on]):
                for ahead in going_on:
                    found += await ahead.hold()
            complete = True
        finally:
            if not complete:
                await self.close()
        self.total = total if counted else None
        return found > WHOLE_ROWS

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        """The next rows.

        Raises:
            RouterError: A shard failed.
        """
        merging, block, fed = self._merging, list[Row](), 0
        while not merging.done:
            wanting = tuple(merging.wanting())
            if block and (
                fed >= len(self._ahead) or not all(self._ahead[source].ready for source in wanting)
            ):
                break  # enough, or nothing more without waiting
            for source in wanting:
                merging.feed(source, await self._ahead[source].batch())
            fed += len(wanting)
            block += merging.take()
        if block:
            return self._piece(block)
        await self.close()
        raise StopAsyncIteration

    async def whole(self) -> Result:
        """All rows at once, for a stream that has few of them to give."""
        try:
            pieces = [piece async for piece in self]
        finally:
            await self.close()
        return Result(
            row_count=sum(piece.row_count for piece in pieces),
            columns=self.columns,
            rows=[row for piece in pieces for row in piece.rows],
            body=f"[{SEPARATOR.join(piece.text for piece in pieces)}]",
            total=self.total,
            served=self.served,
        )

    async def close(self) -> None:
        """Take no more rows: statements that run are cancelled, connections given back.

        That is done at once; waited for is only that the tasks have ended, for no server.
        """
        ending = [task for ahead in self._ahead if (task := ahead.leave()) is not None]
        if ending:
            await asyncio.wait(ending)

    def _piece(self, block: Sequence[Row]) -> Piece:
        if self._json:
            return Piece(len(block), text=SEPARATOR.join([row[0] for row in block]))
        return Piece(len(block), rows=[tuple(row)[: self._width] for row in block])
