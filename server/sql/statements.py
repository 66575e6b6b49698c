"""What the SQL door needs of the router."""

from collections.abc import Sequence
from typing import Protocol

from router import (
    Description,
    InteractiveTransaction,
    QueryContext,
    Result,
    Statement,
    Stream,
    TransactionOptions,
)


class Statements(Protocol):
    """Whoever answers statements and transactions: the router, or its twin in tests."""

    async def answer(self, statement: Statement, context: QueryContext) -> Result:
        """The statement's result."""
        ...

    async def stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        """The same; in pieces when it is large."""
        ...

    async def describe(self, statement: Statement, context: QueryContext) -> Description:
        """What the statement takes and gives; it is not run."""
        ...

    async def transaction(
        self, statements: Sequence[Statement], context: QueryContext, options: TransactionOptions
    ) -> Sequence[Result]:
        """The results of all statements, as one transaction on one shard."""
        ...

    def interactive(
        self, context: QueryContext, options: TransactionOptions
    ) -> InteractiveTransaction:
        """A transaction that is told its statements one at a time."""
        ...
