"""Reads of the native API: lists, questions by body, single rows, and the list of tables."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from router import Schema, Stream
from server.exchange import Reply, Request
from server.rest.catalogue import Memo
from server.rest.counting import estimate, with_total
from server.rest.desk import Desk, Filled, Target
from server.rest.errors import (
    AdministratorsOnly,
    ParameterMisplaced,
    RecordAmbiguous,
    RecordNotFound,
)
from server.rest.native import render
from server.rest.native.cursor import paged_by_cursor
from server.rest.native.form import query_form
from server.rest.native.identity import identified
from server.rest.native.query import CUTTABLE, SINGLE, Count, NativeQuery, native_query
from server.rest.page import native_page
from server.rest.prefer import preferences_of
from server.rest.query_text import pairs
from server.rest.request import Page, ReadRows
from server.rest.shapes import Cut, cut
from server.rest.template import Template

ADMINISTRATORS: Final = frozenset({"admin", "dashboard_admin", "service_role"})
LISTS: Final = SINGLE - {"on_conflict"}
ROWS: Final = frozenset({"select", "truncate"})


class Known(NamedTuple):
    """What is remembered of a query's shape."""

    template: Template
    counted: bool


class Reading(NamedTuple):
    """A read that was parsed; with how it is counted if that is not exact."""

    filled: Filled
    rows: ReadRows
    estimated: Count | None = None


class NativeReads:
    """Answers GET and HEAD, and POST `/query`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._shapes: Memo[Known] = Memo()

    def remembered(self, request: Request, schema: Schema) -> Filled | None:
        """The read of a request whose path and shape were seen before.

        Raises:
            RequestMalformed: A value is not percent-encoded UTF-8.
            ParameterMalformed: The limit or offset is no number.
        """
        parts = cut(request.query, CUTTABLE)
        if parts is None:
            return None
        known = self._shapes.of(schema).get(_key(request, parts))
        if known is None:
            return None
        page = self._page(parts.limit, parts.offset, request)
        return Filled(known.template, parts.values, page, known.counted)

    async def rows(self, request: Request, filled: Filled) -> Reply:
        """The rows of a read that was remembered."""
        return _conditional(request, await self._answered(request, filled))

    async def listed(self, request: Request, target: Target) -> Reply:
        """The rows that the query string asks for; remembered where it has a shape."""
        query = parsed_query(request, single=LISTS, filters=True)
        reading = self._built(query, request, target)
        parts = cut(request.query, CUTTABLE)
        if parts is not None and parts.values == query.values and reading.estimated is None:
            known = Known(reading.filled.template, reading.filled.counted)
            self._shapes.of(target.schema)
            self._shapes.keep(_key(request, parts), known)
        return _conditional(request, await self._estimated(request, target, reading))

    async def asked(self, request: Request, target: Target) -> Reply:
        """The rows that the body asks for: the same planner, limits and errors as GET."""
        parsed_query(request, single=frozenset(), filters=False)
        reading = self._built(query_form(request.body), request, target)
        return await self._estimated(request, target, reading)

    async def _estimated(self, request: Request, target: Target, reading: Reading) -> Reply:
        filled, rows, count = reading
        if count is None:
            return await self._answered(request, filled)
        total = await estimate(
            self._desk, request, target, rows, filled.values, count.value, filled.consistency
        )
        return await self._answered(request, filled, count, total)

    async def _answered(
        self,
        request: Request,
        filled: Filled,
        count: Count = Count.EXACT,
        estimated: int | None = None,
    ) -> Reply:
        filled, consistent = _preferred(request, filled)
        told = render.Told(count.value, consistent)
        result = await self._desk.ask_for_rows(request, filled)
        if isinstance(result, Stream):
            return render.streamed(result, filled.page, told, estimated)
        if estimated is not None:
            result = with_total(result, filled.page.offset, estimated)
        headers = render.count_headers(filled.page.offset, result, told)
        return render.array(result.body, headers=headers)

    async def row(self, request: Request, target: Target, identity: str) -> Reply:
        """The row of that id.

        Raises:
            RecordNotFound: There is none.
            RecordAmbiguous: Several tenants have one, and the caller has no tenant.
            KeyUnusable: The table has no key of one column.
        """
        query = parsed_query(request, single=ROWS, filters=False)
        where = identified(target.table, self._desk.tenant_column, 0)
        template = self._desk.template(ReadRows(target.table.name, query.shown, (where,)), target)
        reading, consistent = _preferred(request, Filled(template, (identity,)))
        result = await self._desk.ask(request, reading)
        if result.row_count != 1:
            raise miscounted(result.row_count)
        headers = render.count_headers(0, result, render.Told(consistent=consistent))
        return _conditional(request, render.first(result.body, headers=headers))

    def tables(self, request: Request, schema: Schema) -> Reply:
        """The list of tables, for administrators.

        Raises:
            AdministratorsOnly: The caller is none.
        """
        if request.principal.role not in ADMINISTRATORS:
            raise AdministratorsOnly
        wanted: Sequence[str] = schema.exposed
        for name, value in pairs(request.query):
            if name != "schema":
                raise ParameterMisplaced(name, "the list of tables")
            wanted = value.split(",")
        return _conditional(request, render.catalog(schema, wanted))

    def _built(self, query: NativeQuery, request: Request, target: Target) -> Reading:
        where, order, values = paged_by_cursor(query, target.table, self._desk.tenant_column)
        read = ReadRows(
            target.table.name,
            query.shown,
            where,
            order,
            limited=True,
            skipped=query.offset is not None,
            grouped=query.group_by,
        )
        exact = query.count is Count.EXACT
        filled = Filled(
            self._desk.template(read, target),
            values,
            self._page(query.limit, query.offset, request),
            exact,
        )
        return Reading(filled, read, None if exact else query.count)

    def _page(self, limit: str | None, offset: str | None, request: Request) -> Page:
        return native_page(limit, offset, self._desk.limits, service=request.principal.service)


def parsed_query(request: Request, *, single: frozenset[str], filters: bool) -> NativeQuery:
    """The query string, of which only these single parameters and perhaps filters may be used.

    Raises:
        ParameterMisplaced: Another parameter would be ignored.
    """
    found = pairs(request.query)
    query = native_query(found)
    for name, _ in found:
        if name not in single if name in SINGLE else not filters:
            raise ParameterMisplaced(name, request.method)
    return query


def miscounted(found: int) -> RecordNotFound | RecordAmbiguous:
    """Why an id did not name one row."""
    return RecordNotFound() if found == 0 else RecordAmbiguous(found)


def _preferred(request: Request, reading: Filled) -> tuple[Filled, str | None]:
    """The read as fresh as the caller prefers, and what to say of that."""
    if request.headers.get("Prefer") is None:
        return reading, None
    prefer = preferences_of(request.headers)
    consistent = prefer.consistent
    if consistent is None:
        return reading, None
    preferred = reading._replace(snapshot=prefer.snapshot, consistency=prefer.consistency)
    return preferred, consistent


def _key(request: Request, parts: Cut) -> tuple[object, ...]:
    return (request.path, parts.offset is None, parts.shape)


def _conditional(request: Request, reply: Reply) -> Reply:
    if reply.pieces is not None:
        return reply
    reply = render.revalidated(reply, request.headers.get("If-None-Match"))
    return render.headed(reply) if request.method == "HEAD" else reply
