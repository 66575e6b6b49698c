"""POST /api/v1/sql: one statement, or several as one transaction."""

from collections.abc import Callable
from typing import Final

from router import SESSION, Consistency, QueryContext, Reached, Schema, TransactionOptions
from server.exchange import Reply, Request
from server.routes import BodyKind, Entry, Route
from server.settings import SqlSettings
from server.sql.answering import Answering
from server.sql.errors import SqlNotEnabled
from server.sql.pieces import AnswerPieces
from server.sql.question import asked_of
from server.sql.socket import SqlLimits, TransactionSockets
from server.sql.statements import Statements

PATH: Final = "/api/v1/sql"
_JSON: Final = "application/json"


class SqlDoor:
    """Answers statements for the service role, and for tenants where the settings let them in."""

    def __init__(  # noqa: PLR0913 - what answers, and what is allowed
        self,
        router: Statements,
        schema: Callable[[], Schema],
        settings: SqlSettings,
        limits: SqlLimits,
        *,
        served_by: bool,
        consistency: Consistency = SESSION,
        position: Callable[[Reached], str] | None = None,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._consistency = consistency
        self._answering = Answering(router, schema, served_by=served_by)
        self._sockets = TransactionSockets(
            self._answering, router.interactive, settings, limits, position
        )

    def routes(self) -> tuple[Route, ...]:
        """Its paths."""
        return (
            Route("POST", PATH, self.handle, body=BodyKind.BULK),
            Route("GET", f"{PATH}/transaction", self.upgrade, entry=Entry.KNOWN_BY_URL),
        )

    async def handle(self, request: Request) -> Reply:
        """The answer to a statement or a transaction.

        Raises:
            SqlError: The request is refused, by name.
            RouterError: So is a statement, or it fails.
        """
        context = self.context(request)
        asked = asked_of(request.body, most=self._settings.max_statements)
        context = context._replace(
            read_only=context.read_only or asked.read_only,
            snapshot=asked.snapshot,
            consistency=asked.consistency or self._consistency,
        )
        answer: str | AnswerPieces
        if asked.together:
            options = TransactionOptions(asked.isolation, read_only=context.read_only)
            answer = await self._answering.together(asked.questions, context, asked.layout, options)
        else:
            answer = await self._answering.perhaps_in_pieces(
                asked.questions[0], context, asked.layout, self._limits.stream_s
            )
        if isinstance(answer, AnswerPieces):
            return Reply(200, b"", _JSON, pieces=answer)
        return Reply(200, answer.encode(), _JSON)

    async def upgrade(self, request: Request) -> Reply:
        """A socket for one transaction.

        Raises:
            ServerError: The request is refused, by name.
        """
        return self._sockets.accept(request, self.context(request))

    def context(self, request: Request) -> QueryContext:
        """Who asks, and whether they may only read.

        Raises:
            SqlNotEnabled: They may not even ask.
        """
        who = request.principal
        if not (who.service or self._settings.tenants):
            raise SqlNotEnabled
        return QueryContext(
            who.role,
            who.tenant,
            who.session,
            who.claims,
            request.deadline,
            read_only=self._settings.read_only,
            seen=request.seen,
            reached=request.reached,
        )
