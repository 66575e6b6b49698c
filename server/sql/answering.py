"""Questions to answers: each statement's types are known, its names checked, its result made JSON."""

from collections.abc import Callable, Sequence

from router import (
    InTransaction,
    QueryContext,
    Result,
    RouterError,
    Schema,
    Statement,
    Stream,
    TransactionOptions,
)
from server.sql.answer import answer_text, check_names
from server.sql.parameters import Shape
from server.sql.pieces import AnswerPieces
from server.sql.question import Layout, Question
from server.sql.shapes import Shapes
from server.sql.statements import Statements


class Answering:
    """Answers of the router as JSON text."""

    def __init__(
        self, router: Statements, schema: Callable[[], Schema], *, served_by: bool
    ) -> None:
        self._router = router
        self._served_by = served_by
        self._shapes = Shapes(router, schema)

    async def alone(self, question: Question, context: QueryContext, layout: Layout) -> str:
        """One statement's answer.

        Raises:
            SqlError: It cannot be given in this layout.
            RouterError: The statement is refused, or fails.
        """
        statement, shape = await self.prepared(question, context, layout)
        result = await self._router.answer(statement, context)
        return self.text(result, shape, layout)

    async def perhaps_in_pieces(
        self, question: Question, context: QueryContext, layout: Layout, longest_s: float
    ) -> str | AnswerPieces:
        """The same, in pieces when it is large: then it has to be closed.

        Raises:
            SqlError: It cannot be given in this layout.
            RouterError: The statement is refused, or fails.
        """
        statement, shape = await self.prepared(question, context, layout)
        result = await self._router.stream(statement, context, longest_s)
        if isinstance(result, Stream):
            return AnswerPieces(result, shape.columns, layout, served_by=self._served_by)
        return self.text(result, shape, layout)

    async def together(
        self,
        questions: Sequence[Question],
        context: QueryContext,
        layout: Layout,
        options: TransactionOptions,
    ) -> str:
        """The answers to the statements of one transaction.

        Raises:
            SqlError: One cannot be given in this layout.
            InTransaction: A statement is refused, or fails.
            RouterError: The transaction cannot be begun, or not be committed.
        """
        prepared = []
        for index, question in enumerate(questions):
            try:
                prepared.append(await self.prepared(question, context, layout))
            except RouterError as refusal:
                raise InTransaction(index, refusal) from refusal
        statements = [statement for statement, _ in prepared]
        results = await self._router.transaction(statements, context, options)
        texts = [
            self.text(result, shape, layout)
            for result, (_, shape) in zip(results, prepared, strict=True)
        ]
        return f'{{"results":[{",".join(texts)}]}}'

    async def prepared(
        self, question: Question, context: QueryContext, layout: Layout
    ) -> tuple[Statement, Shape]:
        """The statement as it is sent, and what its rows will look like.

        Raises:
            SqlError: They cannot be given in this layout.
            RouterError: The statement is refused, or PostgreSQL does not understand it.
        """
        statement, shape = await self._shapes.statement(question, context)
        check_names(shape.columns, layout)
        return statement, shape

    def text(self, result: Result, shape: Shape, layout: Layout) -> str:
        """A result as a JSON object.

        Raises:
            ValueTooDeep: A JSON value among its rows nests too deep for the layout.
        """
        return answer_text(result, shape.columns, layout, served_by=self._served_by)
