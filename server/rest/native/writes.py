"""Writes of the native API: insert and upsert, bulk update and delete, and those of one row."""

from collections.abc import Sequence
from typing import Any, Final

from router import Result, RowCountUnexpected
from server.exchange import Reply, Request
from server.rest.body import Rows, json_object, json_rows
from server.rest.desk import Desk, Filled, Target
from server.rest.errors import (
    BodyInvalid,
    FilterMissing,
    ParameterMisplaced,
    WriteBlocked,
    WriteBlockedAnonymous,
)
from server.rest.native import render
from server.rest.native.identity import identified
from server.rest.native.query import NativeQuery
from server.rest.native.reads import ROWS, miscounted, parsed_query
from server.rest.prefer import Preferences, Return, preferences_of
from server.rest.request import Assignment, DeleteRows, InsertRows, Shown, UpdateRows
from server.rest.template import Template
from server.rest.writes import assignments_of, conflict_of, insert_columns, with_defaults

ANON: Final = "anon"


class NativeWrites:
    """Answers POST, PUT, PATCH and DELETE."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def insert(self, request: Request, target: Target) -> Reply:
        """Inserts the row or rows of the body, or merges them into those that exist.

        Raises:
            BodyInvalid: The body is no row or rows, or too many.
            WriteBlocked: The one row was not written, by policy.
        """
        query = parsed_query(request, single=ROWS | {"on_conflict"}, filters=False)
        prefer = preferences_of(request.headers)
        if query.on_conflict and prefer.resolution is None:
            raise ParameterMisplaced("on_conflict", "an insert without Prefer: resolution")
        rows = json_rows(request.body)
        if len(rows.rows) > self._desk.limits.max_batch_size:
            raise BodyInvalid(f"A batch holds at most {self._desk.limits.max_batch_size} rows")
        if not rows.rows:
            return _short(prefer, 0, 201) or render.array("[]", 201, render.batch_headers(0))
        insert = self._inserted(query, rows, target, prefer)
        values: list[Any] = [rows.argument]
        if prefer.defaults:
            own = self._desk.own(target.table, request.principal.tenant)
            insert = with_defaults(insert, rows, target.table, values, own)
        template = self._desk.template(insert, target)
        result = await self._desk.ask(request, Filled(template, values))
        kept = insert.conflict is not None and not insert.conflict.updated
        if result.row_count == 0 and not kept and target.table.rls:
            raise WriteBlockedAnonymous if request.principal.role == ANON else WriteBlocked
        return _inserted_reply(result, prefer, single=rows.single)

    def _inserted(
        self, query: NativeQuery, rows: Rows, target: Target, prefer: Preferences
    ) -> InsertRows:
        columns = insert_columns(rows, target.table, named=None, defaults=prefer.defaults)
        conflict = None
        if prefer.resolution is not None:
            conflict = conflict_of(
                target.table,
                columns,
                named=query.on_conflict,
                tenant_column=self._desk.tenant_column(target.table.name),
                merge=prefer.merge,
            )
        return InsertRows(target.table.name, columns, conflict, _returned(query.shown, prefer))

    async def update(self, request: Request, target: Target) -> Reply:
        """Updates the rows that fit.

        Raises:
            FilterMissing: There is no filter.
        """
        query = parsed_query(request, single=ROWS, filters=True)
        if not query.where:
            raise FilterMissing(request.method)
        prefer = preferences_of(request.headers)
        assignments, values = _assigned(request, target, after=len(query.values))
        update = UpdateRows(
            target.table.name, assignments, query.where, _returned(query.shown, prefer)
        )
        template = self._desk.template(update, target)
        result = await self._desk.ask(request, Filled(template, (*query.values, *values)))
        headers = render.batch_headers(result.row_count)
        return _short(prefer, result.row_count, 200, headers) or render.array(
            result.body, headers=headers
        )

    async def delete(self, request: Request, target: Target) -> Reply:
        """Deletes the rows that fit.

        Raises:
            FilterMissing: There is no filter.
        """
        query = parsed_query(request, single=ROWS, filters=True)
        if not query.where:
            raise FilterMissing(request.method)
        prefer = preferences_of(request.headers)
        delete = DeleteRows(target.table.name, query.where, _returned(query.shown, prefer))
        result = await self._desk.ask(
            request, Filled(self._desk.template(delete, target), query.values)
        )
        headers = render.batch_headers(result.row_count)
        return _short(prefer, result.row_count, 200, headers) or render.deleted(result, headers)

    async def update_row(self, request: Request, target: Target, identity: str) -> Reply:
        """Updates the row of that id; PUT and PATCH are the same.

        Raises:
            RecordNotFound: There is none.
        """
        query = parsed_query(request, single=ROWS, filters=False)
        prefer = preferences_of(request.headers)
        assignments, values = _assigned(request, target, after=1)
        update = UpdateRows(
            target.table.name,
            assignments,
            (identified(target.table, self._desk.tenant_column, 0),),
            _returned(query.shown, prefer),
        )
        template = self._desk.template(update, target)
        result = await self._exactly_one(request, template, (identity, *values))
        return _short(prefer, 1, 200) or render.first(result.body)

    async def delete_row(self, request: Request, target: Target, identity: str) -> Reply:
        """Deletes the row of that id.

        Raises:
            RecordNotFound: There is none.
        """
        parsed_query(request, single=frozenset(), filters=False)
        where = identified(target.table, self._desk.tenant_column, 0)
        template = self._desk.template(DeleteRows(target.table.name, (where,)), target)
        await self._exactly_one(request, template, (identity,))
        return Reply(204)

    async def _exactly_one(
        self, request: Request, template: Template, values: Sequence[Any]
    ) -> Result:
        try:
            return await self._desk.ask(request, Filled(template, values, exactly=1))
        except RowCountUnexpected as error:
            raise miscounted(error.found) from error


def _assigned(
    request: Request, target: Target, *, after: int
) -> tuple[tuple[Assignment, ...], list[Any]]:
    """The assignments of the body; their values follow that many others."""
    members = json_object(request.body)
    if not members:
        raise BodyInvalid("The body names no column to update")
    return assignments_of(members, members, target.table, after=after)


def _returned(shown: Shown, prefer: Preferences) -> Shown | None:
    """What the statement gives back: rows, unless the client wants none."""
    return shown if prefer.returns in {None, Return.REPRESENTATION} else None


def _short(
    prefer: Preferences, rows: int, status: int, headers: render.Headers = ()
) -> Reply | None:
    """The reply of a client that wants no rows."""
    match prefer.returns:
        case Return.MINIMAL:
            return Reply(status, headers=headers)
        case Return.HEADERS_ONLY:
            return render.affected(rows, status, headers)
        case _:
            return None


def _inserted_reply(result: Result, prefer: Preferences, *, single: bool) -> Reply:
    status = 200 if result.row_count == 0 else 201
    headers = () if single else render.batch_headers(result.row_count)
    short = _short(prefer, result.row_count, status, headers)
    if short is not None:
        return short
    if not single:
        return render.array(result.body, status, headers)
    return (
        render.array("null", status) if result.row_count == 0 else render.first(result.body, status)
    )
