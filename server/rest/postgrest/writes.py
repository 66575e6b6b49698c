"""Writes of the PostgREST dialect: POST, PATCH, DELETE and PUT."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from router import Kind, Result, Table
from server.exchange import Reply, Request
from server.rest import exact_json
from server.rest.body import JSON_TYPES, Rows, csv_rows, form_rows, json_object, json_rows
from server.rest.desk import Desk, Filled, Target
from server.rest.errors import (
    BodyInvalid,
    NotSingular,
    ParameterMisplaced,
    PutFiltersInvalid,
    PutKeyMismatch,
    PutPaged,
)
from server.rest.filters import Compare, Field, Operand
from server.rest.operands import text
from server.rest.page import content_range
from server.rest.postgrest import render
from server.rest.postgrest.media import Media, body_type, media_of
from server.rest.postgrest.paths import profile_of, profiled
from server.rest.postgrest.query import SINGLE, PostgrestQuery, postgrest_query
from server.rest.prefer import Preferences, Return, reported
from server.rest.query_text import pairs
from server.rest.request import (
    Conflict,
    DeleteRows,
    InsertRows,
    Output,
    ReadRows,
    Shown,
    TableRequest,
    UpdateRows,
)
from server.rest.writes import assignments_of, conflict_of, fresh, insert_columns, with_defaults

NOTHING: Final = Result(0)
"""The result of a write that has nothing to write."""


class PostgrestWrites:
    """Answers POST, PATCH, DELETE and PUT."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def insert(self, request: Request, target: Target, prefer: Preferences) -> Reply:
        """Inserts the rows of the body, or merges them into those that exist.

        Raises:
            BodyInvalid: The body is not of a known type, or its rows have different keys.
        """
        query = self._parsed(request, filters=False, rows=True)
        media = media_of(request.headers.get("Accept"))
        rows = _rows(request)
        shown = _returned(query, prefer, media)
        key: tuple[str, ...] = ()
        if prefer.returns is Return.HEADERS_ONLY and len(rows.rows) == 1:
            key = target.table.primary_key
        insert: InsertRows | ReadRows = _nothing(target, shown)
        values = [rows.argument, *query.values[1:]]
        if rows.rows:
            returned = _key_shown(key) if key else shown
            insert = self._inserted(query, rows, target, prefer, returned)
            if prefer.defaults:
                own = self._desk.own(target.table, request.principal.tenant)
                insert = with_defaults(insert, rows, target.table, values, own)
        result, names = await self._ask(request, insert, target, values, media)
        result, inserted = fresh(insert, result)
        headers = [
            ("Content-Range", content_range(0, 0, _counted(prefer, result))),
            *reported(prefer, "resolution", "missing", "return", "count"),
            *profiled(profile_of(request)),
        ]
        if key:
            headers += render.key_location(request, result)
        status = 200 if prefer.merge and inserted == 0 else 201
        return render.written(status, _body(shown, result, names, media), media, headers)

    def _inserted(
        self,
        query: PostgrestQuery,
        rows: Rows,
        target: Target,
        prefer: Preferences,
        shown: Shown | None,
    ) -> InsertRows:
        if query.columns is None and rows.keys != rows.common:
            raise BodyInvalid("All object keys must match")
        columns = insert_columns(rows, target.table, named=query.columns, defaults=prefer.defaults)
        conflict = None
        if prefer.resolution is not None:
            conflict = conflict_of(
                target.table,
                columns,
                named=query.on_conflict,
                tenant_column=self._desk.tenant_column(target.table.name),
                merge=prefer.merge,
            )
        marked = prefer.merge and _markable(target.table, conflict)
        return InsertRows(target.table.name, columns, conflict, shown, marked=marked)

    async def update(self, request: Request, target: Target, prefer: Preferences) -> Reply:
        """Updates the rows that fit, all of them if there is no filter.

        Raises:
            BodyInvalid: The body is not one row.
        """
        query = self._parsed(request, filters=True)
        media = media_of(request.headers.get("Accept"))
        shown = _returned(query, prefer, media)
        members = _members(request)
        columns = members.keys() if query.columns is None else query.columns
        assignments, values = assignments_of(
            members, columns, target.table, after=len(query.values), defaults=prefer.defaults
        )
        update = UpdateRows(target.table.name, assignments, query.where, shown)
        write = update if assignments else _nothing(target, shown)
        result, names = await self._ask(request, write, target, (*query.values, *values), media)
        headers = [
            ("Content-Range", content_range(0, result.row_count, _counted(prefer, result))),
            *reported(prefer, "missing", "return", "count", "max-affected"),
            *profiled(profile_of(request)),
        ]
        status = 204 if shown is None else 200
        return render.written(status, _body(shown, result, names, media), media, headers)

    async def delete(self, request: Request, target: Target, prefer: Preferences) -> Reply:
        """Deletes the rows that fit, all of them if there is no filter."""
        query = self._parsed(request, filters=True)
        media = media_of(request.headers.get("Accept"))
        shown = _returned(query, prefer, media)
        delete = DeleteRows(target.table.name, query.where, shown)
        result, names = await self._ask(request, delete, target, query.values, media)
        headers = [
            ("Content-Range", content_range(0, 0, _counted(prefer, result))),
            *reported(prefer, "return", "count", "max-affected"),
            *profiled(profile_of(request)),
        ]
        status = 204 if shown is None else 200
        return render.written(status, _body(shown, result, names, media), media, headers)

    async def replace(self, request: Request, target: Target, prefer: Preferences) -> Reply:
        """Inserts the one row that the URL names by its key, or updates it.

        Raises:
            PutPaged: There is a limit or an offset.
            PutFiltersInvalid: The filters are not the key.
            PutKeyMismatch: The body is not one row with that key.
        """
        query = self._parsed(request, filters=True, rows=True)
        if query.limit is not None or query.offset is not None:
            raise PutPaged
        key = _put_key(query, target.table, self._desk.tenant_column(target.table.name))
        rows = _rows(request)
        if len(rows.rows) != 1 or not _names(rows.rows[0], key):
            raise PutKeyMismatch
        media = media_of(request.headers.get("Accept"))
        shown = _returned(query, prefer, media)
        columns = insert_columns(rows, target.table, named=query.columns, defaults=False)
        conflict = conflict_of(target.table, columns, named=(), tenant_column=None, merge=True)
        marked = shown is not None and _markable(target.table, conflict)
        insert = InsertRows(target.table.name, columns, conflict, shown, marked=marked)
        result, names = await self._ask(
            request, insert, target, (rows.argument, *query.values[1:]), media
        )
        result, inserted = fresh(insert, result)
        headers = [*reported(prefer, "return", "count"), *profiled(profile_of(request))]
        status = 204 if shown is None else 201 if inserted else 200
        return render.written(status, _body(shown, result, names, media), media, headers)

    def _parsed(self, request: Request, *, filters: bool, rows: bool = False) -> PostgrestQuery:
        """The query; where the body is `rows`, they are value 0."""
        found = pairs(request.query)
        query = postgrest_query(found, self._desk.limits, reserved=int(rows))
        if query.where and not filters:
            name = next(name for name, _ in found if name not in SINGLE)
            raise ParameterMisplaced(name, request.method)
        return query

    async def _ask(
        self,
        request: Request,
        write: TableRequest,
        target: Target,
        values: Sequence[Any],
        media: Media,
    ) -> tuple[Result, Sequence[str]]:
        """The result of a write, and the columns of its text.

        One that is not one row is rolled back if one was asked for. A read stands for a write that
        has nothing to write.
        """
        template = self._desk.template(write, target)
        if isinstance(write, ReadRows):
            if media.single:
                raise NotSingular(0)
            return NOTHING, template.names
        exactly = 1 if media.single else None
        result = await self._desk.ask(request, Filled(template, values, exactly=exactly))
        return result, template.names


def _rows(request: Request) -> Rows:
    kind = body_type(request.headers.get("Content-Type"))
    if kind in JSON_TYPES:
        return json_rows(request.body)
    if kind == "text/csv":
        return csv_rows(request.body)
    if kind == "application/x-www-form-urlencoded":
        return form_rows(request.body)
    raise BodyInvalid(f"Content-Type not acceptable: {kind}")


def _members(request: Request) -> Mapping[str, exact_json.Member]:
    """The one row of an update's body."""
    if body_type(request.headers.get("Content-Type")) in JSON_TYPES:
        return json_object(request.body)
    rows = _rows(request).rows
    if len(rows) != 1:
        raise BodyInvalid("The body must be one row")
    return {
        name: exact_json.Member(value, exact_json.dumps(value)) for name, value in rows[0].items()
    }


def _markable(table: Table, conflict: Conflict | None) -> bool:
    """Whether an upsert can tell which rows are new: those of partitions are not asked."""
    return conflict is not None and bool(conflict.updated) and table.kind is Kind.TABLE


def _nothing(target: Target, shown: Shown | None) -> ReadRows:
    return ReadRows(target.table.name, shown or Shown())


def _returned(query: PostgrestQuery, prefer: Preferences, media: Media) -> Shown | None:
    """What the statement gives back: nothing, unless rows are wanted."""
    if prefer.returns is not Return.REPRESENTATION:
        return None
    return media.shown(query.outputs)


def _key_shown(key: Sequence[str]) -> Shown:
    return Shown(tuple(Output(Field(name)) for name in key), as_text=True)


def _body(shown: Shown | None, result: Result, names: Sequence[str], media: Media) -> bytes | None:
    if shown is None:
        return None
    return render.content(result, media, names)


def _counted(prefer: Preferences, result: Result) -> int | None:
    return None if prefer.count is None else result.row_count


def _put_key(query: PostgrestQuery, table: Table, tenant_column: str | None) -> dict[str, str]:
    """The key that the filters name, by column; the tenant's column may be left out."""
    key: dict[str, str] = {}
    for condition in query.where:
        match condition:
            case Compare(Field(column, ()), operator, value, None) if operator.sql == "=" and (
                operator.operand is Operand.LITERAL and column not in key
            ):
                key[column] = query.values[value]
            case _:
                raise PutFiltersInvalid
    wanted = set(table.primary_key)
    if not wanted or key.keys() not in (wanted, wanted - {tenant_column}):
        raise PutFiltersInvalid
    return key


def _names(row: Mapping[str, Any], key: Mapping[str, str]) -> bool:
    """Whether the row has that key."""
    return all(name in row and text(row[name]) == value for name, value in key.items())
