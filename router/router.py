"""The pipeline: analyse, plan, gather, combine. One request of one caller in, one answer out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial

from router.analysis.analyses import LONG_CHARS
from router.analysis.query import Query
from router.backends import Access, Backends
from router.context import QueryContext
from router.description import Description
from router.errors import DeadlineExceeded, InTransaction, RouterError
from router.fences import NO_FENCES, Fences, strange
from router.following import Answer, Following
from router.gather import gather
from router.interactive import InteractiveTransaction
from router.move_errors import UnitMoved, UnitRefused
from router.plans.combine import combine
from router.plans.one_shard import shard_of_all
from router.plans.plan import PULL_UP_LIMITS, Plan, PullUpLimits, shards_of
from router.plans.planner import plan
from router.plans.planning import Planning
from router.schema import Schema
from router.server_plans import PlanOptions, ServerPlan, planned_rows, server_plans
from router.statement import Result, Statement
from router.stream import Stream, stream
from router.transaction_options import TransactionOptions
from router.write_key import Outcome, WriteKey
from shardmap import ShardMap


class Router(Planning):
    """Answers statements from the shards as one PostgreSQL would, or refuses by name.

    `shard_map` and `schema` are asked once per request, so no request sees half of two maps.
    """

    def __init__(
        self,
        backends: Backends,
        shard_map: Callable[[], ShardMap],
        schema: Callable[[], Schema],
        pull_up: PullUpLimits = PULL_UP_LIMITS,
        following: Following | None = None,
    ) -> None:
        """`following` runs again what fences refuse; without it that is the caller's to do."""
        fences = following.fences if following is not None else lambda: NO_FENCES
        super().__init__(shard_map, schema, pull_up, fences)
        self._backends = backends
        self._following = following
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="analyse")

    async def answer(self, statement: Statement, context: QueryContext) -> Result:
        """The statement's answer.

        Raises:
            RouterError: Named; `router.errors` says what the caller should do.
        """
        try:
            return await self._answer(statement, context)
        except UnitRefused as refusal:
            return await self._again(refusal, context, partial(self._answer, statement, context))

    async def _answer(self, statement: Statement, context: QueryContext) -> Result:
        shard_map, fences = self._picture(context)
        if len(statement.sql) > LONG_CHARS:
            query = await self._aside(statement, context, shard_map, fences)
        else:
            query = self._query(statement, context, shard_map, fences)
        route = plan(query, statement, context, shard_map, self._limits, fences)
        replies = await gather(route, self._backends, context)
        if fences:
            self._check_fences(query, route, fences)
        return combine(route, replies, statement.exactly)

    def _check_fences(self, query: Query, route: Plan, fences: Fences) -> None:
        """No tenant began to move while several shards were read as if none moved.

        A fence is known to all routers long before the first row of a moving tenant is on another
        shard, so it is known now if any of the shards can have shown one.

        Raises:
            UnitMoved: One did: it may have been counted twice.
        """
        if query.leaves_out or query.access is Access.WRITE or len(shards_of(route.route)) == 1:
            return
        now = self._fences()
        if now is not fences and strange(now):
            raise UnitMoved(shards_of(route.route)[0], "a tenant began to move meanwhile")

    async def _again(
        self, refusal: UnitRefused, context: QueryContext, attempt: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        if self._following is None:
            raise refusal
        return await self._following.again(refusal, self._map, context, attempt)

    async def stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        """The statement's answer; in pieces when it is a read of more than `WHOLE_ROWS` rows.

        A stream has to be closed, whatever happens. It may last `longest_s`; the context's
        deadline is for what comes before its first piece, and as long for each piece.

        Raises:
            RouterError: As `answer`; a stream raises them between its pieces, too.
        """
        try:
            return await self._stream(statement, context, longest_s)
        except UnitRefused as refusal:
            attempt = partial(self._stream, statement, context, longest_s)
            return await self._again(refusal, context, attempt)

    async def _stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        shard_map, fences = self._picture(context)
        if len(statement.sql) > LONG_CHARS:
            query = await self._aside(statement, context, shard_map, fences)
        else:
            query = self._query(statement, context, shard_map, fences)
        route = plan(query, statement, context, shard_map, self._limits, fences)
        if statement.exactly is not None or context.snapshot:
            replies = await gather(route, self._backends, context)
            if fences:
                self._check_fences(query, route, fences)
            return combine(route, replies, statement.exactly)
        answer = await stream(route, query, self._backends, context, longest_s)
        if fences:
            try:
                self._check_fences(query, route, fences)
            except UnitMoved:
                if isinstance(answer, Stream):
                    await answer.close()
                raise
        return answer

    async def transaction(
        self, statements: Sequence[Statement], context: QueryContext, options: TransactionOptions
    ) -> list[Result]:
        """The results of statements that are one transaction on one shard.

        All are planned before the first runs. Whatever fails, nothing of them remains.

        Raises:
            InTransaction: One of them is refused or fails; says which, and why.
            RouterError: The transaction cannot be begun, or not be committed.
        """
        attempt = partial(self._transaction, statements, context, options)
        try:
            return await attempt()
        except UnitRefused as refusal:
            return await self._again(refusal, context, attempt)

    async def _transaction(
        self, statements: Sequence[Statement], context: QueryContext, options: TransactionOptions
    ) -> list[Result]:
        plans = [await self._part(index, each, context) for index, each in enumerate(statements)]
        entries = tuple(dict.fromkeys(entry for each in plans for entry in each.query.entries))
        open_ = await self._backends.begin(shard_of_all(plans), context, options, entries)
        results = []
        try:
            for index, (route, statement) in enumerate(zip(plans, statements, strict=True)):
                try:
                    reply = await open_.run(route.query, context.deadline)
                    results.append(combine(route, (reply,), statement.exactly))
                except UnitRefused:
                    raise  # nothing remains, and all of it can be run again
                except RouterError as failure:
                    raise InTransaction(index, failure) from failure
            await open_.commit(context.deadline)
        finally:
            open_.leave()
        return results

    async def once(
        self, key: WriteKey, context: QueryContext, work: "Callable[[Router], Awaitable[Outcome]]"
    ) -> bytes | None:
        """Do work whose writes commit together with its answer; or the answer it had before.

        The work asks the router that it is given. It may be asked for several times, as long as
        nothing of it remains.

        Raises:
            WriteKeyRefused: The key is another request's, or this one's that is still running.
            RouterError: The work failed; nothing of it remains, or `CommitUnknown`.
        """

        async def over(backends: Backends) -> Outcome:
            router = copy(self)
            router._backends = backends  # noqa: SLF001 - our own kind
            router._following = None  # noqa: SLF001 - the work is begun again as a whole
            return await work(router)

        attempt = partial(self._backends.once, key, context, over)
        try:
            return await attempt()
        except UnitRefused as refusal:
            return await self._again(refusal, context, attempt)

    def interactive(
        self, context: QueryContext, options: TransactionOptions
    ) -> InteractiveTransaction:
        """A transaction that is told its statements one at a time; to be left, whatever happens."""
        return InteractiveTransaction(self._planned, self._backends, context, options, self._again)

    async def _planned(self, statement: Statement, context: QueryContext) -> Plan:
        if len(statement.sql) <= LONG_CHARS:
            return self.plan(statement, context)
        shard_map, fences = self._picture(context)
        query = await self._aside(statement, context, shard_map, fences)
        return plan(query, statement, context, shard_map, self._limits, fences)

    async def _aside(
        self,
        statement: Statement,
        context: QueryContext,
        shard_map: ShardMap,
        fences: Fences,
    ) -> Query:
        """The analysis of a long statement, in a thread: one at a time, the others wait for it.

        Raises:
            DeadlineExceeded: It did not come to an end in the request's time.
        """
        loop = asyncio.get_running_loop()
        self._setting(shard_map)  # kept for the thread
        analysing = loop.run_in_executor(
            self._thread, self._query, statement, context, shard_map, fences
        )
        try:
            async with asyncio.timeout(context.deadline.remaining_s()):
                return await analysing
        except TimeoutError as error:
            raise DeadlineExceeded("the statement was not analysed in time") from error

    async def _part(self, index: int, statement: Statement, context: QueryContext) -> Plan:
        try:
            return await self._planned(statement, context)
        except UnitRefused:
            raise
        except RouterError as refusal:
            raise InTransaction(index, refusal) from refusal

    async def server_plans(
        self, statement: Statement, context: QueryContext, options: PlanOptions
    ) -> tuple[ServerPlan, ...]:
        """PostgreSQL's plans of what each shard would be asked; for whoever may see estimates.

        Raises:
            RouterError: As `answer` would be refused; or the statement is a write that would run.
        """
        route = await self._planned(statement, context)
        return await server_plans(route, options, self._backends, context)

    async def planned_rows(self, statement: Statement, context: QueryContext) -> int:
        """How many rows the planners of the shards expect the statement to give.

        Raises:
            RouterError: As `answer` would be refused; or it is computed from several shards' rows.
        """
        route = await self._planned(statement, context)
        return planned_rows(
            route, await server_plans(route, PlanOptions(), self._backends, context)
        )

    async def describe(self, statement: Statement, context: QueryContext) -> Description:
        """What the statement takes and gives, as the first shard of its route says; it is not run.

        Raises:
            RouterError: As `answer` would be refused.
        """
        route = await self._planned(statement, context)
        shard = shards_of(route.route)[0]
        return await self._backends.describe(shard, statement.sql, route.query.access, context)
