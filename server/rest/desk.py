"""What handlers of both dialects share: the router, the tables, the limits, and how to ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from router import (
    Consistency,
    PlanOptions,
    QueryContext,
    Result,
    Schema,
    ServerPlan,
    Statement,
    Stream,
    Table,
)
from server.exchange import Request
from server.rest.catalogue import Catalogue
from server.rest.page import Limits, may_be_large
from server.rest.relations import TenantColumn
from server.rest.request import WHOLE, Page, TableRequest
from server.rest.template import Template
from shardmap import TenantId


class Answers(Protocol):
    """Whoever answers statements: the router, or its twin in tests."""

    async def answer(self, statement: Statement, context: QueryContext) -> Result:
        """The statement's result.

        Raises:
            RouterError: There is none.
        """
        ...

    async def stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        """The statement's result, in pieces when it is large: then it has to be closed.

        Raises:
            RouterError: There is none.
        """
        ...

    async def planned_rows(self, statement: Statement, context: QueryContext) -> int:
        """How many rows the planners of the shards expect.

        Raises:
            RouterError: The statement has no plan.
        """
        ...

    async def server_plans(
        self, statement: Statement, context: QueryContext, options: PlanOptions
    ) -> tuple[ServerPlan, ...]:
        """PostgreSQL's plans of what each shard would be asked.

        Raises:
            RouterError: The statement has none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """The table of a request, in the schema as it was when the request began."""

    table: Table
    schema: Schema


class Filled(NamedTuple):
    """A template with its values: a statement that is ready to be asked."""

    template: Template
    values: Sequence[Any]
    page: Page = WHOLE
    counted: bool = False
    exactly: int | None = None
    snapshot: bool = False
    consistency: Consistency | None = None
    """What the caller prefers; None: what holds for the table."""
    warnings: tuple[str, ...] = ()
    """What the client had better write another way."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where requests become statements and results come back."""

    router: Answers
    catalogue: Catalogue
    tenant_column: TenantColumn
    limits: Limits

    def template(self, request: TableRequest, target: Target) -> Template:
        """The statement of a table request, without its values."""
        return self.catalogue.template(request, target.table, target.schema)

    def own(self, table: Table, tenant: TenantId | None) -> Mapping[str, str]:
        """What a row of the table gets in the column of the caller's tenant."""
        column = self.tenant_column(table.name)
        return {} if column is None or tenant is None else {column: tenant}

    async def ask(self, request: Request, filled: Filled) -> Result:
        """The result of a statement for the caller of the request.

        Raises:
            RouterError: There is none.
            ParameterMalformed: A value has not the form that its operator needs.
        """
        statement = filled.template.statement(
            filled.values, filled.page, counted=filled.counted, exactly=filled.exactly
        )
        return await self.router.answer(statement, _context(request, filled))

    async def ask_for_rows(self, request: Request, filled: Filled) -> Result | Stream:
        """The result of a read, in pieces when it is large: then it has to be closed.

        Raises:
            RouterError: There is none.
            ParameterMalformed: A value has not the form that its operator needs.
        """
        if filled.snapshot or not may_be_large(filled.page):
            return await self.ask(request, filled)
        statement = filled.template.statement(filled.values, filled.page, counted=filled.counted)
        context = _context(request, filled)
        return await self.router.stream(statement, context, self.limits.stream_s)

    async def planned_rows(self, request: Request, filled: Filled) -> int:
        """How many rows PostgreSQL expects of a statement, without its page.

        Raises:
            RouterError: It has no plan.
        """
        statement = filled.template.statement(filled.values, filled.page)
        return await self.router.planned_rows(statement, _context(request, filled))

    async def server_plans(
        self, request: Request, filled: Filled, options: PlanOptions
    ) -> tuple[ServerPlan, ...]:
        """PostgreSQL's plans of what each shard would be asked.

        Raises:
            RouterError: The statement has none.
        """
        statement = filled.template.statement(filled.values, filled.page, counted=filled.counted)
        return await self.router.server_plans(statement, _context(request, filled), options)


def _context(request: Request, filled: Filled) -> QueryContext:
    """For whom the statement runs, and how fresh its rows have to be."""
    who = request.principal
    return QueryContext(
        who.role,
        who.tenant,
        who.session,
        who.claims,
        request.deadline,
        False,
        filled.snapshot,
        filled.consistency or filled.template.consistency,
        request.seen,
        request.reached,
        request.environment,
    )
