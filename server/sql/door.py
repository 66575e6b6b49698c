"""POST /api/v1/sql: one statement, or several as one transaction."""

from collections.abc import Callable
from typing import Final

from router import InTransaction, QueryContext, RouterError, Schema, TransactionOptions
from server.exchange import Reply, Request
from server.routes import BodyKind, Route
from server.settings import SqlSettings
from server.sql.answer import answer_text, check_names
from server.sql.errors import SqlNotEnabled
from server.sql.question import Asked, asked_of
from server.sql.shapes import Shapes
from server.sql.statements import Statements

PATH: Final = "/api/v1/sql"
_JSON: Final = "application/json"


class SqlDoor:
    """Answers statements for the service role, and for tenants where the settings let them in."""

    def __init__(
        self,
        router: Statements,
        schema: Callable[[], Schema],
        settings: SqlSettings,
        *,
        served_by: bool,
    ) -> None:
        self._router = router
        self._settings = settings
        self._served_by = served_by
        self._shapes = Shapes(router, schema)

    def routes(self) -> tuple[Route, ...]:
        """Its paths."""
        return (Route("POST", PATH, self.handle, body=BodyKind.BULK),)

    async def handle(self, request: Request) -> Reply:
        """The answer to a statement or a transaction.

        Raises:
            SqlError: The request is refused, by name.
            RouterError: So is a statement, or it fails.
        """
        context = self.context(request)
        asked = asked_of(request.body, most=self._settings.max_statements)
        if asked.read_only:
            context = context._replace(read_only=True)
        text = await (self._together if asked.together else self._alone)(asked, context)
        return Reply(200, text.encode(), _JSON)

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
        )

    async def _alone(self, asked: Asked, context: QueryContext) -> str:
        statement, shape = await self._shapes.statement(asked.questions[0], context)
        check_names(shape.columns, asked.layout)
        result = await self._router.answer(statement, context)
        return answer_text(result, shape.columns, asked.layout, served_by=self._served_by)

    async def _together(self, asked: Asked, context: QueryContext) -> str:
        prepared = []
        for index, question in enumerate(asked.questions):
            try:
                prepared.append(await self._shapes.statement(question, context))
            except RouterError as refusal:
                raise InTransaction(index, refusal) from refusal
            check_names(prepared[-1][1].columns, asked.layout)
        results = await self._router.transaction(
            [statement for statement, _ in prepared],
            context,
            TransactionOptions(asked.isolation, read_only=context.read_only),
        )
        texts = [
            answer_text(result, shape.columns, asked.layout, served_by=self._served_by)
            for result, (_, shape) in zip(results, prepared, strict=True)
        ]
        return f'{{"results":[{",".join(texts)}]}}'
