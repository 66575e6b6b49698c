"""Table requests as SQL: `build` makes the template of any of them. Pure and deterministic.

The text names tables with their schema and holds no value of the client. Tenant predicates are
the router's. Rows of an insert come as one JSON parameter, read by `json_to_recordset`.
"""

# ruff: noqa: S608 - text is made here and only here, of quoted names and parameters

from collections.abc import Sequence
from typing import Final, assert_never

from router import Column, Form, Table
from server.rest.errors import BodyColumnUnknown, FeatureMissing, GeometryMissing
from server.rest.expressions import Source, column_of, typed
from server.rest.operands import same
from server.rest.outputs import geometries
from server.rest.relations import Relations
from server.rest.request import (
    Assignment,
    CallRoutine,
    Cells,
    DeleteRows,
    InsertRows,
    Output,
    Passed,
    ReadRows,
    Shown,
    TableRequest,
    UpdateRows,
)
from server.rest.selecting import OUTERMOST, Selecting, aliased, source_of
from server.rest.template import Draft, Given, Limit, Offset, Template, quoted

MARK: Final = "fluxshard_inserted"
"""The first key of the rows that an insert gives, where it is to be known which are new."""

STRUCTURED: Final = frozenset("AC")
"""Categories (arrays, composites) whose values are read from JSON, not from a literal."""


def build(request: TableRequest, table: Table, relations: Relations) -> Template:
    """The statement that answers the request on its table.

    Raises:
        ColumnUnknown: The request names a column that the table does not have.
        BodyColumnUnknown: So does its body.
        RelationshipMissing: It embeds what is not related to the table.
        RelationshipAmbiguous: It embeds what is related in several ways.
    """
    draft = Draft()
    make = _Build(table, draft, Selecting(draft, relations), source_of(table, request.shown))
    match request:
        case ReadRows():
            return make.read(request)
        case InsertRows():
            return make.insert(request)
        case UpdateRows():
            return make.update(request)
        case DeleteRows():
            return make.delete(request)
        case CallRoutine():
            return make.call(request)
        case _:
            assert_never(request)


class _Build:
    """One statement. Parameters are numbered in the order in which its parts are made."""

    def __init__(self, table: Table, draft: Draft, selecting: Selecting, source: Source) -> None:
        self._table = table
        self._draft = draft
        self._selecting = selecting
        self._source = source

    def read(self, request: ReadRows) -> Template:
        if request.counting:
            return self._counting(request)
        return self._rows(request, aliased(self._source))

    def _counting(self, request: ReadRows) -> Template:
        """As many rows as the request has, with nothing in them."""
        items, source = request.shown.outputs, self._source
        grouped = bool(request.grouped)
        if grouped or self._selecting.aggregates(items, self._table):
            outputs = self._selecting.list_of(request.shown, source, grouped=grouped)
        else:
            outputs = "1 AS n"
        where = self._selecting.where(request.where, items, source)
        groups = self._selecting.group_by(items, source, request.grouped)
        sql = f"SELECT {outputs} FROM {aliased(source)}{where}{groups}"
        if request.limited:
            sql = f"{sql} LIMIT {self._draft.param(Limit())}::bigint"
        return self._draft.template(sql, Form.ROWS)

    def call(self, request: CallRoutine) -> Template:
        """Rows are answered as a table's are, values in a column `v` of one row."""
        routine = request.routine
        # VARIADIC goes by place only, and so does what stands before it
        named = not routine.variadic
        arguments = ", ".join(self._argument(each, named=named) for each in request.passed)
        called = f"{quoted(routine.schema)}.{quoted(routine.name)}({arguments})"
        if routine.columns:
            self._source = Source(self._table, OUTERMOST)
            return self._rows(request, f"{called} AS {quoted(OUTERMOST)}")
        if request.where or request.order or request.shown.outputs:
            raise FeatureMissing("Filters, order and select of single values")
        if not routine.set_of:
            return self._draft.template(f"SELECT {called} AS v", Form.JSON)
        rows = self._paged(f"SELECT r.v FROM {called} AS r(v)", request)
        if request.apart:
            return self._draft.template(rows, Form.JSON)
        sql = f"SELECT coalesce(json_agg(r.v) , '[]'::json) AS v , count(*) AS n FROM ({rows}) AS r"
        return self._draft.template(sql, Form.JSON)

    def _argument(self, passed: Passed, *, named: bool) -> str:
        parameter = passed.parameter
        value = self._draft.param(Given(passed.value, same))
        if passed.as_json and parameter.category in STRUCTURED:
            rows = f"json_to_recordset({value}::text::json) AS x(v {parameter.type})"
            sql = f"(SELECT x.v FROM {rows})"
        else:
            sql = typed(value, parameter.type)
        if named and parameter.name:
            sql = f"{quoted(parameter.name)} => {sql}"
        return f"VARIADIC {sql}" if passed.variadic else sql

    def _rows(self, request: ReadRows | CallRoutine, rows: str) -> Template:
        source = self._source
        items = request.shown.outputs
        fields = request.grouped if isinstance(request, ReadRows) else ()
        grouped = bool(fields)
        outputs = self._selecting.list_of(request.shown, source, grouped=grouped)
        where = self._selecting.where(request.where, items, source)
        groups = self._selecting.group_by(items, source, fields)
        # ORDER BY "x" means the output column of that name, if there is one
        renamed = " AS " in outputs and not source.alias
        keyed = Source(self._table, self._table.relation) if renamed else source
        order = self._selecting.order(request.order, items, keyed, grouped=grouped)
        sql = f"SELECT {outputs} FROM {rows}{where}{groups}{order}"
        return self._template(self._paged(sql, request), request.shown)

    def _paged(self, sql: str, request: ReadRows | CallRoutine) -> str:
        if request.limited:
            sql = f"{sql} LIMIT {self._draft.param(Limit())}::bigint"
        if request.skipped:
            sql = f"{sql} OFFSET {self._draft.param(Offset())}::bigint"
        return sql

    def insert(self, request: InsertRows) -> Template:
        if request.columns and request.cells is not None:
            given = self._cells(request.columns, request.cells)
        elif request.columns:
            columns = [_written(self._table, name) for name in request.columns]
            names = ", ".join(quoted(column.name) for column in columns)
            values = " , ".join(f"x.{quoted(column.name)}" for column in columns)
            kinds = ", ".join(f"{quoted(column.name)} {column.type}" for column in columns)
            rows = f"{self._draft.param(Given(0, same))}::text::json"
            given = f"({names}) SELECT {values} FROM json_to_recordset({rows}) AS x({kinds})"
        else:
            given = "DEFAULT VALUES"
        conflict = _conflict(request, self._table)
        returning = self._returning(request.shown)
        sql = f"INSERT INTO {aliased(self._source)} {given}{conflict}"
        if not request.marked:
            return self._template(f"{sql}{returning}", request.shown)
        alias = f"{quoted(self._source.alias)}." if self._source.alias else ""
        mark = f" RETURNING {alias}xmax = 0 AS {quoted(MARK)}"
        if request.shown is None:
            return self._draft.template(f"{sql}{mark}", Form.JSON)
        others = returning.removeprefix(" RETURNING ")
        return self._template(f"{sql}{mark} , {others}", request.shown)

    def _cells(self, names: Sequence[str], cells: Cells) -> str:
        """The columns and VALUES of an insert in which rows have defaults of their own."""
        columns = [_written(self._table, name) for name in names]
        rows = " , ".join(
            "(" + ", ".join(map(self._cell, columns, positions)) + ")" for positions in cells
        )
        return f"({', '.join(quoted(column.name) for column in columns)}) VALUES {rows}"

    def _cell(self, column: Column, position: int | None) -> str:
        return "DEFAULT" if position is None else self._value(column, position)

    def update(self, request: UpdateRows) -> Template:
        sets = " , ".join(self._assignment(each) for each in request.assignments)
        where = self._selecting.where(request.where, (), self._source)
        returning = self._returning(request.shown)
        sql = f"UPDATE {aliased(self._source)} SET {sets}{where}{returning}"
        return self._template(sql, request.shown)

    def delete(self, request: DeleteRows) -> Template:
        where = self._selecting.where(request.where, (), self._source)
        returning = self._returning(request.shown)
        sql = f"DELETE FROM {aliased(self._source)}{where}{returning}"
        return self._template(sql, request.shown)

    def _assignment(self, assignment: Assignment) -> str:
        column = _written(self._table, assignment.column)
        name = quoted(column.name)
        if assignment.value is None:
            return f"{name} = DEFAULT"
        return f"{name} = {self._value(column, assignment.value)}"

    def _value(self, column: Column, position: int) -> str:
        """A value of the body, as PostgreSQL reads one of the column."""
        parameter = self._draft.param(Given(position, same))
        if column.category in STRUCTURED:
            name = quoted(column.name)
            rows = f"json_to_recordset({parameter}::text::json) AS x({name} {column.type})"
            return f"(SELECT x.{name} FROM {rows})"
        return typed(parameter, column.type)

    def _returning(self, shown: Shown | None) -> str:
        if shown is None:
            return ""
        return f" RETURNING {self._selecting.list_of(shown, self._source)}"

    def _template(self, sql: str, shown: Shown | None) -> Template:
        if shown is None:
            return self._draft.template(sql, Form.ROWS)
        names: tuple[str, ...] = ()
        if shown.as_text:
            names = self._selecting.names
            if len(set(names)) < len(names):
                raise FeatureMissing("Two columns of one name in text")
        if shown.features:
            names = geometries(shown.outputs or (Output(None),), self._table)
            if not names:
                raise GeometryMissing
        return self._draft.template(sql, Form.JSON, names)


def _conflict(request: InsertRows, table: Table) -> str:
    if request.conflict is None:
        return ""
    target = ", ".join(quoted(column_of(table, name).name) for name in request.conflict.target)
    if not request.conflict.updated:
        return f" ON CONFLICT ({target}) DO NOTHING"
    sets = " , ".join(
        f"{quoted(name)} = EXCLUDED.{quoted(name)}" for name in request.conflict.updated
    )
    return f" ON CONFLICT ({target}) DO UPDATE SET {sets}"


def _written(table: Table, name: str) -> Column:
    column = table.columns.get(name)
    if column is None:
        raise BodyColumnUnknown(name, table.relation)
    return column
