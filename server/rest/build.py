"""Table requests as SQL: `build` makes the template of any of them. Pure and deterministic.

The text names tables with their schema and holds no value of the client. Tenant predicates are
the router's. Rows of an insert come as one JSON parameter, read by `json_to_recordset`.
"""

# ruff: noqa: S608 - text is made here and only here, of quoted names and parameters

from collections.abc import Iterable
from typing import Final, assert_never

from router import Column, Form, Table
from server.rest.errors import BodyColumnUnknown, FeatureMissing
from server.rest.expressions import (
    cast_name,
    column_of,
    comparable_sql,
    field_sql,
    typed,
    where_sql,
)
from server.rest.filters import Field
from server.rest.operands import same
from server.rest.request import (
    Assignment,
    DeleteRows,
    InsertRows,
    Output,
    ReadRows,
    Shown,
    Sort,
    TableRequest,
    UpdateRows,
)
from server.rest.template import Constant, Draft, Given, Limit, Offset, Template, quoted

STRUCTURED: Final = frozenset("AC")
"""Categories (arrays, composites) whose values are read from JSON, not from a literal."""


def build(request: TableRequest, table: Table) -> Template:
    """The statement that answers the request on its table.

    Raises:
        ColumnUnknown: The request names a column that the table does not have.
        BodyColumnUnknown: So does its body.
    """
    match request:
        case ReadRows():
            return _read(request, table)
        case InsertRows():
            return _insert(request, table)
        case UpdateRows():
            return _update(request, table)
        case DeleteRows():
            draft = Draft()
            where = where_sql(request.where, table, draft)
            returning = _returning(request.shown, table, draft)
            sql = f"DELETE FROM {_table(table)}{where}{returning}"
            return _template(draft, sql, request.shown, table)
        case _:
            assert_never(request)


def _read(request: ReadRows, table: Table) -> Template:
    draft = Draft()
    outputs = _outputs(request.shown, table, draft)
    sql = f"SELECT {outputs} FROM {_table(table)}{where_sql(request.where, table, draft)}"
    if request.order:
        # ORDER BY "x" means the output column of that name, if there is one
        renamed = " AS " in outputs
        keys = [_sort(sort, table, draft, qualified=renamed) for sort in request.order]
        sql = f"{sql} ORDER BY {', '.join(keys)}"
    if request.limited:
        sql = f"{sql} LIMIT {draft.param(Limit())}::bigint"
    if request.skipped:
        sql = f"{sql} OFFSET {draft.param(Offset())}::bigint"
    return _template(draft, sql, request.shown, table)


def _insert(request: InsertRows, table: Table) -> Template:
    draft = Draft()
    if request.columns:
        columns = [_written(table, name) for name in request.columns]
        names = ", ".join(quoted(column.name) for column in columns)
        values = " , ".join(f"x.{quoted(column.name)}" for column in columns)
        kinds = ", ".join(f"{quoted(column.name)} {column.type}" for column in columns)
        rows = draft.param(Given(0, same))
        source = (
            f"({names}) SELECT {values} FROM json_to_recordset({rows}::text::json) AS x({kinds})"
        )
    else:
        source = "DEFAULT VALUES"
    returning = _returning(request.shown, table, draft)
    sql = f"INSERT INTO {_table(table)} {source}{_conflict(request, table)}{returning}"
    return _template(draft, sql, request.shown, table)


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


def _update(request: UpdateRows, table: Table) -> Template:
    draft = Draft()
    sets = " , ".join(_assignment(each, table, draft) for each in request.assignments)
    where = where_sql(request.where, table, draft)
    returning = _returning(request.shown, table, draft)
    sql = f"UPDATE {_table(table)} SET {sets}{where}{returning}"
    return _template(draft, sql, request.shown, table)


def _assignment(assignment: Assignment, table: Table, draft: Draft) -> str:
    column = _written(table, assignment.column)
    name = quoted(column.name)
    if assignment.value is None:
        return f"{name} = DEFAULT"
    parameter = draft.param(Given(assignment.value, same))
    if column.category in STRUCTURED:
        rows = f"json_to_recordset({parameter}::text::json) AS x({name} {column.type})"
        return f"{name} = (SELECT x.{name} FROM {rows})"
    return f"{name} = {typed(parameter, column.type)}"


def _written(table: Table, name: str) -> Column:
    column = table.columns.get(name)
    if column is None:
        raise BodyColumnUnknown(name, table.relation)
    return column


def _returning(shown: Shown | None, table: Table, draft: Draft) -> str:
    return "" if shown is None else f" RETURNING {_outputs(shown, table, draft)}"


def _template(draft: Draft, sql: str, shown: Shown | None, table: Table) -> Template:
    if shown is None:
        return draft.template(sql, Form.ROWS)
    names: tuple[str, ...] = ()
    if shown.as_text:
        names = tuple(output_name(output) for output in expanded(shown, table))
        if len(set(names)) < len(names):
            raise FeatureMissing("Two columns of one name in text")
    return draft.template(sql, Form.JSON, names)


def _outputs(shown: Shown, table: Table, draft: Draft) -> str:
    if shown.as_text or shown.truncate is not None:
        outputs: Iterable[Output] = expanded(shown, table)
    else:
        outputs = shown.outputs or (Output(None),)
    return " , ".join(_output(output, shown, table, draft) for output in outputs)


def expanded(shown: Shown, table: Table) -> tuple[Output, ...]:
    """The outputs with every `*` replaced by all columns."""
    found: list[Output] = []
    for output in shown.outputs or (Output(None),):
        if output.field is None:
            found.extend(Output(Field(name)) for name in table.columns)
        else:
            found.append(output)
    return tuple(found)


def output_name(output: Output) -> str:
    """The name of an output column: its alias, else the last key of its path, else the column."""
    if output.alias is not None:
        return output.alias
    if output.field is None:
        return "*"
    keys = [step.key for step in output.field.path if not step.index]
    return keys[-1] if keys else output.field.column


def _output(output: Output, shown: Shown, table: Table, draft: Draft) -> str:
    if output.field is None:
        return "*"
    sql = field_sql(output.field, table, draft)
    plain = output.cast is None and not output.field.path
    column = table.columns[output.field.column]
    if output.cast is not None:
        sql = f"CAST({sql} AS {cast_name(output.cast, table)})"
    elif shown.truncate is not None and column.category == "S" and plain:
        sql = f"left({sql}::text , {draft.param(Constant(shown.truncate))}::int4)"
    if shown.as_text:
        # the letter that PostgreSQL prints for a boolean within a row
        sql = f"left({sql}::text , 1)" if plain and column.type == "bool" else f"{sql}::text"
    if sql == quoted(output.field.column) and output.alias is None:
        return sql
    return f"{sql} AS {quoted(output_name(output))}"


def _sort(sort: Sort, table: Table, draft: Draft, *, qualified: bool) -> str:
    sql = comparable_sql(sort.field, table, draft, qualified=qualified)
    if sort.descending is not None:
        sql = f"{sql} {'DESC' if sort.descending else 'ASC'}"
    if sort.nulls_first is not None:
        sql = f"{sql} NULLS {'FIRST' if sort.nulls_first else 'LAST'}"
    return sql


def _table(table: Table) -> str:
    return f"{quoted(table.schema)}.{quoted(table.relation)}"
