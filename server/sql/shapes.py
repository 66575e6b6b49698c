"""Statements whose types PostgreSQL has told: asked once for each text and kind of values."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from router import (
    Description,
    Form,
    QueryContext,
    Schema,
    Statement,
    StatementNotUnderstood,
)
from server.sql.errors import ParameterUntyped
from server.sql.parameters import Shape, kinds_of, planned, shape_of
from server.sql.question import Question
from server.sql.statements import Statements

ENTRIES: Final = 1024
MAX_KEPT_CHARS: Final = 16 * 1024
"""Longer texts are described anew each time: mostly they are made for one use."""

_Key = tuple[str, str, str]


class Shapes:
    """Shapes by text, least recently used ones dropped first. A new schema forgets them all."""

    def __init__(self, router: Statements, schema: Callable[[], Schema]) -> None:
        self._router = router
        self._schema = schema
        self._kept: OrderedDict[_Key, Shape] = OrderedDict()

    async def statement(self, question: Question, context: QueryContext) -> tuple[Statement, Shape]:
        """The statement that answers the question, with its shape.

        Raises:
            RouterError: It is refused, or PostgreSQL does not understand it.
            ParameterUntyped: Its columns would get other names.
        """
        key = (question.sql, kinds_of(question.params), self._schema().version)
        shape = self._kept.get(key)
        if shape is None:
            shape = await self._described(question, context)
            if len(question.sql) <= MAX_KEPT_CHARS:
                self._kept[key] = shape
                if len(self._kept) > ENTRIES:
                    self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        if len(shape.converts) != len(question.params):
            raise _count(len(shape.converts), len(question.params))
        return Statement(shape.sql, shape.args(question.params), Form.JSON), shape

    async def _described(self, question: Question, context: QueryContext) -> Shape:
        asked = Statement(question.sql, planned(question.params), Form.JSON)
        described = await self._router.describe(asked, context)
        if len(described.parameters) != len(question.params):
            raise _count(len(described.parameters), len(question.params))
        shape = shape_of(question.sql, question.params, described)
        if shape.sql != question.sql:
            sent = asked._replace(sql=shape.sql, args=shape.args(question.params))
            if _names(await self._router.describe(sent, context)) != _names(described):
                raise ParameterUntyped
        return shape


def _names(description: Description) -> tuple[str, ...]:
    return tuple(column.name for column in description.columns)


def _count(takes: int, given: int) -> StatementNotUnderstood:
    return StatementNotUnderstood(f"the statement takes {takes} argument(s), {given} were given")
