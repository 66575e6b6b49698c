"""A transaction that is told its statements one at a time, on the shard that the first one needs."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from router.backends import Backends, ShardTransaction
from router.context import Deadline, QueryContext
from router.errors import TransactionOver
from router.move_errors import UnitRefused
from router.plans.combine import combine
from router.plans.one_shard import fits
from router.plans.plan import Plan
from router.statement import Result, Statement
from router.transaction_options import TransactionOptions
from shardmap import ShardId

Planner = Callable[[Statement, QueryContext], Awaitable[Plan]]
"""Says where a statement goes."""

Begun = tuple[Plan, ShardId, ShardTransaction]


class Follow(Protocol):
    """Runs again what a fence has refused."""

    async def __call__(
        self,
        refusal: UnitRefused,
        context: QueryContext,
        attempt: Callable[[], Awaitable[Begun]],
    ) -> Begun:
        """What the attempt gives, once it is not refused any more."""
        ...


class InteractiveTransaction:
    """Used by one caller at a time, who has to leave it, whatever happens.

    The context's deadline is for all of it. Nothing is held before the first statement.
    """

    def __init__(
        self,
        plan: Planner,
        backends: Backends,
        context: QueryContext,
        options: TransactionOptions,
        follow: Follow,
    ) -> None:
        self._follow = follow
        self._plan = plan
        self._backends = backends
        self._context = context
        self._options = options
        self._shard: ShardId | None = None
        self._open: ShardTransaction | None = None
        self._over = False

    @property
    def over(self) -> bool:
        """It has ended, or failed and only waits to be rolled back."""
        return self._over

    async def run(self, statement: Statement, deadline: Deadline) -> Result:
        """One statement's answer, as far as this transaction is concerned.

        Raises:
            QueryRefused: It is refused; the transaction goes on.
            AccessRefused: The same.
            TransactionOver: It takes no more statements.
            UnitRefused: Its tenant is on the move, and something had run: it is to be repeated.
            RouterError: It failed, and with it the transaction.
        """
        if self._over:
            raise TransactionOver("the transaction has ended or failed")
        opened = self._open
        if opened is None:
            plan, opened = await self._begun(statement)
        else:
            plan = await self._plan(statement, self._context)
            fits(plan, self._shard)
            self._over = True  # until it is known to be well
        reply = await opened.run(plan.query, deadline)
        result = combine(plan, (reply,), statement.exactly)
        self._over = False
        return result

    async def _begun(self, statement: Statement) -> tuple[Plan, ShardTransaction]:
        """Begin with the first statement, where its tenant lives; nothing has run before."""

        async def attempt() -> Begun:
            plan = await self._plan(statement, self._context)
            shard = fits(plan, None)
            self._over = True  # until it is known to be well
            entries = plan.query.entries
            return (
                plan,
                shard,
                await self._backends.begin(shard, self._context, self._options, entries),
            )

        try:
            plan, self._shard, opened = await attempt()
        except UnitRefused as refusal:
            plan, self._shard, opened = await self._follow(refusal, self._context, attempt)
        self._open = opened
        return plan, opened

    async def commit(self, deadline: Deadline) -> None:
        """Commit it; nothing to commit is no error.

        Raises:
            TransactionOver: A statement failed; everything is rolled back.
            CommitUnknown: It may be committed or not.
            RouterError: PostgreSQL refused the commit; everything is rolled back.
        """
        if self._over:
            raise TransactionOver("a statement of the transaction has failed: nothing remains")
        self._over = True
        if self._open is not None:
            await self._open.commit(deadline)

    def leave(self) -> None:
        """Free what it holds; what is not committed is rolled back. Harmless when repeated."""
        self._over = True
        if self._open is not None:
            self._open.leave()
