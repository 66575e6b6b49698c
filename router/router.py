"""The pipeline: analyse, plan, gather, combine. One request of one caller in, one answer out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy

from router.analysis.analyses import LONG_CHARS
from router.analysis.query import Query
from router.backends import Backends
from router.context import QueryContext
from router.description import Description
from router.errors import DeadlineExceeded, InTransaction, RouterError
from router.gather import gather
from router.interactive import InteractiveTransaction
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
    ) -> None:
        super().__init__(shard_map, schema, pull_up)
        self._backends = backends
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="analyse")

    async def answer(self, statement: Statement, context: QueryContext) -> Result:
        """The statement's answer.

        Raises:
            RouterError: Named; `router.errors` says what the caller should do.
        """
        shard_map = self._map()
        if len(statement.sql) > LONG_CHARS:
            query = await self._aside(statement, context, shard_map)
        else:
            query = self._query(statement, context, shard_map)
        route = plan(query, statement, context, shard_map, self._limits)
        replies = await gather(route, self._backends, context)
        return combine(route, replies, statement.exactly)

    async def stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        """The statement's answer; in pieces when it is a read of more than `WHOLE_ROWS` rows.

        A stream has to be closed, whatever happens. It may last `longest_s`; the context's
        deadline is for what comes before its first piece, and as long for each piece.

        Raises:
            RouterError: As `answer`; a stream raises them between its pieces, too.
        """
        shard_map = self._map()
        if len(statement.sql) > LONG_CHARS:
            query = await self._aside(statement, context, shard_map)
        else:
            query = self._query(statement, context, shard_map)
        route = plan(query, statement, context, shard_map, self._limits)
        if statement.exactly is not None or context.snapshot:
            replies = await gather(route, self._backends, context)
            return combine(route, replies, statement.exactly)
        return await stream(route, query, self._backends, context, longest_s)

    async def transaction(
        self, statements: Sequence[Statement], context: QueryContext, options: TransactionOptions
    ) -> list[Result]:
        """The results of statements that are one transaction on one shard.

        All are planned before the first runs. Whatever fails, nothing of them remains.

        Raises:
            InTransaction: One of them is refused or fails; says which, and why.
            RouterError: The transaction cannot be begun, or not be committed.
        """
        plans = [await self._part(index, each, context) for index, each in enumerate(statements)]
        open_ = await self._backends.begin(shard_of_all(plans), context, options)
        results = []
        try:
            for index, (route, statement) in enumerate(zip(plans, statements, strict=True)):
                try:
                    reply = await open_.run(route.query, context.deadline)
                    results.append(combine(route, (reply,), statement.exactly))
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
            return await work(router)

        return await self._backends.once(key, context, over)

    def interactive(
        self, context: QueryContext, options: TransactionOptions
    ) -> InteractiveTransaction:
        """A transaction that is told its statements one at a time; to be left, whatever happens."""
        return InteractiveTransaction(self._planned, self._backends, context, options)

    async def _planned(self, statement: Statement, context: QueryContext) -> Plan:
        if len(statement.sql) <= LONG_CHARS:
            return self.plan(statement, context)
        shard_map = self._map()
        query = await self._aside(statement, context, shard_map)
        return plan(query, statement, context, shard_map, self._limits)

    async def _aside(
        self, statement: Statement, context: QueryContext, shard_map: ShardMap
    ) -> Query:
        """The analysis of a long statement, in a thread: one at a time, the others wait for it.

        Raises:
            DeadlineExceeded: It did not come to an end in the request's time.
        """
        loop, setting = asyncio.get_running_loop(), self._setting(shard_map)
        analysing = loop.run_in_executor(
            self._thread, self._analyses.query, statement, context, setting
        )
        try:
            async with asyncio.timeout(context.deadline.remaining_s()):
                return await analysing
        except TimeoutError as error:
            raise DeadlineExceeded("the statement was not analysed in time") from error

    async def _part(self, index: int, statement: Statement, context: QueryContext) -> Plan:
        try:
            return await self._planned(statement, context)
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
