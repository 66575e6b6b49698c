"""The header `X-Served-By`: which shard and server answered. For operators; off by default.

It tells clients how the cluster is made up, so it is a setting (`FLUXSHARD_SERVED_BY`) that a
public API leaves off.
"""

from contextvars import ContextVar
from typing import Final

from router import (
    PlanOptions,
    QueryContext,
    Result,
    Served,
    ServerPlan,
    Statement,
    Stream,
)
from server.exchange import Reply, Request
from server.rest.desk import Answers
from server.routes import Handler

HEADER: Final = "X-Served-By"

_answered: ContextVar[list[Served]] = ContextVar("answered")


class Noting:
    """The router, noting who answered within the current request."""

    def __init__(self, router: Answers) -> None:
        self._router = router

    async def answer(self, statement: Statement, context: QueryContext) -> Result:
        """The statement's result.

        Raises:
            RouterError: There is none.
        """
        result = await self._router.answer(statement, context)
        _answered.get([]).extend(result.served)
        return result

    async def stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        """The statement's result, perhaps in pieces.

        Raises:
            RouterError: There is none.
        """
        answer = await self._router.stream(statement, context, longest_s)
        _answered.get([]).extend(answer.served)
        return answer

    async def planned_rows(self, statement: Statement, context: QueryContext) -> int:
        """How many rows the planners expect; nobody answered for it.

        Raises:
            RouterError: The statement has no plan.
        """
        return await self._router.planned_rows(statement, context)

    async def server_plans(
        self, statement: Statement, context: QueryContext, options: PlanOptions
    ) -> tuple[ServerPlan, ...]:
        """PostgreSQL's plans of the statement.

        Raises:
            RouterError: It has none.
        """
        return await self._router.server_plans(statement, context, options)


def told(handler: Handler) -> Handler:
    """The handler, with the header on its replies."""

    async def handle(request: Request) -> Reply:
        answered: list[Served] = []
        token = _answered.set(answered)
        try:
            reply = await handler(request)
        finally:
            _answered.reset(token)
        if not answered:
            return reply
        names = ", ".join(
            f"{one.shard}/{one.endpoint} ({'replica' if one.replica else 'primary'})"
            for one in answered
        )
        return reply._replace(headers=(*reply.headers, (HEADER, names)))

    return handle
