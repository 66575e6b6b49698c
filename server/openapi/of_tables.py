"""The operations on tables, in both dialects, as OpenAPI 3.1."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from server.openapi.answers import ASKING, WRITING, asked_with, json_answer, json_body, responses
from server.openapi.schemas import component, ref
from server.openapi.shown import ShownTable

Json = dict[str, Any]

NATIVE: Final = "/api/v1/tables"
POSTGREST: Final = "/rest/v1"

_RESERVED: Final = frozenset(
    {
        "select", "order", "limit", "offset", "cursor", "cursor_column", "count", "truncate",
        "group_by", "or", "and", "on_conflict", "columns", "not.or", "not.and",
    }
)  # fmt: skip
_OPERATORS: Final = "eq|neq|gt|gte|lt|lte|like|ilike|match|imatch|in|is|isdistinct|fts|plfts|phfts|wfts|cs|cd|ov|sl|sr|nxr|nxl|adj"
_FILTER: Final = rf"^(not\.)?({_OPERATORS})(\((any|all|[a-z_]+)\))?\."


def _query(name: str, description: str, **schema: object) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": "string", **schema},
    }


TABLE_PARAMETERS: Final[Json] = {
    "select": _query("select", "Columns, with aliases, casts, JSON paths and embedded relations."),
    "order": _query("order", "`column.asc|desc[.nullsfirst|.nullslast]`, with commas between."),
    "limit": _query("limit", "Most rows of the answer.", type="integer", minimum=0),
    "offset": _query("offset", "Rows that are left out before.", type="integer", minimum=0),
    "or": _query("or", "Conditions of which one is enough: `(a.eq.1,b.gt.2)`."),
    "and": _query(
        "and", "Conditions that all hold, which may be groups: `(or(a.eq.1,b.gt.2),c.is.null)`."
    ),
    "count": _query(
        "count", "Adds the total to Content-Range.", enum=["exact", "planned", "estimated", "none"]
    ),
    "groupBy": _query("group_by", "Columns to group by; `select` then holds aggregates."),
    "cursor": _query("cursor", "The value of `cursor_column` behind which the page begins."),
    "cursorColumn": _query("cursor_column", "The column that pages go by."),
    "truncate": _query(
        "truncate", "Shortens texts to so many characters.", type="integer", minimum=1
    ),
    "onConflict": _query(
        "on_conflict", "The columns whose equality makes a row a duplicate; else the key."
    ),
    "columns": _query("columns", "The columns that are used of the rows in the body."),
}
_PAGE: Final = ("select", "order", "limit", "offset", "or", "and")
_NATIVE_READ: Final = (*_PAGE, "count", "groupBy", "cursor", "cursorColumn", "truncate")


def filters(table: ShownTable) -> Iterator[tuple[str, Json]]:
    """A parameter for each column by which rows are chosen."""
    for column in table.columns:
        if column.name not in _RESERVED:
            about = f"`operator.value` on {column.name}, a {column.type}."
            yield (
                component(table.schema, table.relation, column.name),
                _query(column.name, column.comment or about, pattern=_FILTER)
                | {"example": "not.is.null"},
            )


def table_paths(table: ShownTable, exposed: Sequence[str]) -> Iterator[tuple[str, Json]]:
    """The paths of a table, by their templates."""
    name = quote(table.relation, safe="")
    yield from _native(table, f"{NATIVE}/{quote(table.schema, safe='')}/{name}")
    if table.schema == exposed[0]:  # others have the same path, and a header that no path can say
        yield f"{POSTGREST}/{name}", _postgrest(table)


class _Parts:
    """What the operations of a table are made of."""

    def __init__(self, table: ShownTable) -> None:
        self.key = component(table.schema, table.relation)
        self.row = ref("schemas", self.key)
        self.rows: Json = {"type": "array", "items": self.row}
        self.inserted = ref("schemas", f"{self.key}.insert")
        self.updated = ref("schemas", f"{self.key}.update")
        self.filters = [ref("parameters", key) for key, _ in filters(table)]
        self.bulk: Json = {
            "oneOf": [self.inserted, {"type": "array", "items": self.inserted, "minItems": 1}]
        }
        self.tag = f"{table.schema}.{table.relation}"

    def operation(self, verb: str, summary: str, **more: Any) -> Json:
        return {
            "operationId": f"{verb}.{self.key}",
            "tags": [self.tag],
            "summary": summary,
            **more,
        }


_RANGE: Final = {
    "Content-Range": {
        "description": "`first-last/total`; `*` stands for no rows, or for a total that was not asked for.",
        "schema": {"type": "string"},
    }
}


def _native(table: ShownTable, path: str) -> Iterator[tuple[str, Json]]:
    parts = _Parts(table)
    name = f"{table.schema}.{table.relation}"
    asking, writing = asked_with(ASKING), asked_with(WRITING)
    rows: Json = {
        "get": parts.operation(
            "list",
            f"Rows of {name}",
            parameters=[*asking, *asked_with(_NATIVE_READ), *parts.filters],
            responses={
                "200": json_answer(parts.rows, "The rows, with the columns of select.")
                | {"headers": _RANGE},
                "304": {"description": "If-None-Match names what the answer would be."},
                **responses(),
            },
        )
    }
    if table.writable:
        affected = {
            "type": "object",
            "properties": {"affected": {"type": "integer"}, "records": parts.rows},
        }
        rows["post"] = parts.operation(
            "insert",
            f"Insert into {name}",
            parameters=[*writing, *asked_with(("prefer", "onConflict"))],
            requestBody=json_body(parts.bulk, "A row, or rows."),
            responses={
                "200": json_answer({}, "Duplicates were ignored."),
                "201": json_answer({"oneOf": [parts.row, parts.rows]}, "As stored."),
                **responses(),
            },
        )
        rows["patch"] = parts.operation(
            "update",
            f"Update rows of {name} that the filters choose; at least one is needed",
            parameters=[*writing, *asked_with(("prefer", "or", "and")), *parts.filters],
            requestBody=json_body(parts.updated),
            responses={"200": json_answer(parts.rows, "As they are now."), **responses()},
        )
        rows["delete"] = parts.operation(
            "delete",
            f"Delete rows of {name} that the filters choose; at least one is needed",
            parameters=[*writing, *asked_with(("prefer", "or", "and")), *parts.filters],
            responses={"200": json_answer(affected, "What was deleted."), **responses()},
        )
    yield path, rows
    yield (
        f"{path}/query",
        {
            "post": parts.operation(
                "query",
                f"Rows of {name}, with the query in the body",
                parameters=asking,
                requestBody=json_body(ref("schemas", "Query"), required=False),
                responses={"200": json_answer(parts.rows, "The rows."), **responses()},
            )
        },
    )
    if table.id_column is not None:
        yield f"{path}/{{id}}", _one(table, parts)


def _one(table: ShownTable, parts: _Parts) -> Json:
    name = f"{table.schema}.{table.relation}"
    asking, writing = asked_with(ASKING), asked_with(WRITING)
    path: Json = {
        "parameters": [
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": f"The row's {table.id_column.name if table.id_column else 'key'}.",
                "schema": {"type": "string", "minLength": 1},
            }
        ],
        "get": parts.operation(
            "read",
            f"One row of {name}",
            parameters=[*asking, *asked_with(("select",))],
            responses={"200": json_answer(parts.row, "The row."), **responses()},
        ),
    }
    if table.writable:
        for method, verb in (("put", "replace"), ("patch", "change")):
            path[method] = parts.operation(
                verb,
                f"Change one row of {name}",
                parameters=[*writing, *asked_with(("prefer",))],
                requestBody=json_body(parts.updated),
                responses={"200": json_answer(parts.row, "As it is now."), **responses()},
            )
        path["delete"] = parts.operation(
            "remove",
            f"Delete one row of {name}",
            parameters=[*writing, *asked_with(("prefer",))],
            responses={"204": {"description": "It is gone."}, **responses()},
        )
    return path


def _postgrest(table: ShownTable) -> Json:
    parts = _Parts(table)
    name = f"{table.schema}.{table.relation}"
    asking, writing = asked_with(ASKING), asked_with((*WRITING, "contentProfile", "prefer"))
    failing = responses(postgrest=True)
    content = {
        "application/json": {"schema": parts.rows},
        "application/vnd.pgrst.object+json": {"schema": parts.row},
        "text/csv": {"schema": {"type": "string"}},
    }
    path: Json = {
        "get": parts.operation(
            "rest.list",
            f"Rows of {name}, as PostgREST gives them",
            parameters=[
                *asking,
                *asked_with((*_PAGE, "acceptProfile", "range", "prefer")),
                *parts.filters,
            ],
            responses={
                "200": {"description": "All rows.", "headers": _RANGE, "content": content},
                "206": {"description": "Some of them.", "headers": _RANGE, "content": content},
                **failing,
            },
        )
    }
    if not table.writable:
        return path
    done = {"200": json_answer(parts.rows, "With return=representation.")}
    path["post"] = parts.operation(
        "rest.insert",
        f"Insert into {name}, or upsert",
        parameters=[*writing, *asked_with(("select", "onConflict", "columns"))],
        requestBody=json_body(parts.bulk, "A row, or rows with the same keys."),
        responses={
            "201": {"description": "Done; with return=representation, the rows."},
            **done,
            **failing,
        },
    )
    path["patch"] = parts.operation(
        "rest.update",
        f"Update rows of {name}",
        parameters=[*writing, *asked_with(("select", "or", "and")), *parts.filters],
        requestBody=json_body(parts.updated),
        responses={"204": {"description": "Done."}, **done, **failing},
    )
    path["delete"] = parts.operation(
        "rest.delete",
        f"Delete rows of {name}",
        parameters=[*writing, *asked_with(("select", "or", "and")), *parts.filters],
        responses={"204": {"description": "Done."}, **done, **failing},
    )
    path["put"] = parts.operation(
        "rest.put",
        f"Upsert the row of {name} whose key the filters name",
        parameters=[*writing, *parts.filters],
        requestBody=json_body(parts.inserted),
        responses={
            "201": {"description": "It is new; with return=representation, the row."},
            "204": {"description": "Done."},
            **done,
            **failing,
        },
    )
    return path
