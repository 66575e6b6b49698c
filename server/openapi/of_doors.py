"""The operations beside tables: functions, procedures, SQL, and whatever else is routed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from server.errors import Dialect
from server.openapi.answers import (
    ASKING,
    SECURITY,
    WRITING,
    asked_with,
    json_answer,
    json_body,
    responses,
)
from server.openapi.schemas import component, value_schema
from server.openapi.shown import ShownRoutine
from server.routes import Entry, Route

Json = dict[str, Any]

_VARIABLE: Final = re.compile(r"\{([a-z_]+)\}")

_VALUES: Final[Json] = {"type": "array", "items": {}}
SCHEMAS: Final[Json] = {
    "Query": {
        "type": "object",
        "description": "A read of a table, in the body.",
        "properties": {
            "select": {"type": "string"},
            "filters": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["column", "operator", "value"],
                    "properties": {
                        "column": {"type": "string"},
                        "operator": {"type": "string"},
                        "value": {},
                    },
                },
            },
            "orFilters": {"type": "array", "items": {"type": "string"}},
            "andFilters": {"type": "array", "items": {"type": "string"}},
            "betweenFilters": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["column", "min", "max"],
                    "properties": {
                        "column": {"type": "string"},
                        "min": {},
                        "max": {},
                        "negated": {"type": "boolean"},
                    },
                },
            },
            "order": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["column"],
                    "properties": {
                        "column": {"type": "string"},
                        "direction": {"enum": ["asc", "desc"]},
                        "nulls": {"enum": ["first", "last"]},
                    },
                },
            },
            "limit": {"type": "integer", "minimum": 0},
            "offset": {"type": "integer", "minimum": 0},
            "count": {"enum": ["exact", "planned", "estimated", "none"]},
            "groupBy": {"type": "array", "items": {"type": "string"}},
        },
    },
    "Statement": {
        "type": "object",
        "required": ["sql"],
        "properties": {
            "sql": {"type": "string", "description": "One statement, with `$1`, `$2` for values."},
            "params": _VALUES,
        },
    },
    "SqlAnswer": {
        "type": "object",
        "required": ["columns", "rows", "row_count"],
        "properties": {
            "columns": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                },
            },
            "rows": {"type": "array", "description": "Arrays, or objects with `format: json`."},
            "row_count": {"type": "integer"},
        },
    },
    "Execution": {
        "type": "object",
        "required": ["execution_id", "status", "rows_returned", "duration_ms", "result"],
        "properties": {
            "execution_id": {"type": "string"},
            "status": {"enum": ["completed"]},
            "rows_returned": {"type": "integer"},
            "duration_ms": {"type": "integer"},
            "result": {},
        },
    },
}


def routine_path(routine: ShownRoutine) -> tuple[str, Json]:
    """A function under /rest/v1/rpc."""
    named = [argument for argument in routine.arguments if argument.name]
    key = component(routine.schema, routine.name)
    summary, _, rest = (routine.comment or f"Call {routine.schema}.{routine.name}").partition("\n")
    about: Json = {"tags": ["functions"], "summary": summary}
    if rest.strip():
        about["description"] = rest.strip()
    failing = responses(postgrest=True)
    given = json_answer({}, "What it gives: a value, an object, or rows.")
    body: Json = {
        "type": "object",
        "properties": {argument.name: value_schema(argument.type) for argument in named},
        "additionalProperties": False,
    }
    if required := [argument.name for argument in named if argument.required]:
        body["required"] = required
    if len(named) != len(routine.arguments):
        body = value_schema(routine.arguments[0].type)
    path: Json = {
        "post": about
        | {
            "operationId": f"call.{key}",
            "parameters": asked_with((*WRITING, "contentProfile", "prefer")),
            "requestBody": json_body(body, "The arguments by their names.", required=False),
            "responses": {"200": given, "204": {"description": "It gives nothing."}, **failing},
        }
    }
    if not routine.routine.volatile and len(named) == len(routine.arguments):
        path["get"] = about | {
            "operationId": f"ask.{key}",
            "parameters": [
                *asked_with((*ASKING, "acceptProfile")),
                *(
                    {
                        "name": argument.name,
                        "in": "query",
                        "required": argument.required,
                        "description": f"A {argument.type}, as PostgreSQL writes it.",
                        "schema": {"type": "string"},
                    }
                    for argument in named
                ),
            ],
            "responses": {"200": given, **failing},
        }
    return f"/rest/v1/rpc/{quote(routine.name, safe='')}", path


def procedure_path(procedure: dict[str, Any]) -> tuple[str, Json]:
    """A procedure, by what the list of procedures says of it."""
    namespace, name = procedure["namespace"], procedure["name"]
    inputs: dict[str, str] = procedure["input_schema"] or {}
    params: Json = {
        "type": "object",
        "properties": {
            key.removesuffix("?"): {"description": kind} for key, kind in inputs.items()
        },
    }
    if required := [key for key in inputs if not key.endswith("?")]:
        params["required"] = required
    body = {"type": "object", "properties": {"params": params, "async": {"const": False}}}
    operation = {
        "operationId": f"run.{component(namespace, name)}",
        "tags": ["procedures"],
        "summary": procedure["description"] or f"Run {namespace}.{name}",
        "parameters": asked_with(WRITING),
        "requestBody": json_body(body, "Its parameters by their names.", required=bool(required)),
        "responses": {
            "200": json_answer({"$ref": "#/components/schemas/Execution"}, "It has ended."),
            **responses(),
        },
    }
    return f"/api/v1/rpc/{namespace}/{name}", {"post": operation}


def sql_path() -> tuple[str, Json]:
    """Statements and transactions that are sent whole."""
    statement = {"$ref": "#/components/schemas/Statement"}
    answer = {"$ref": "#/components/schemas/SqlAnswer"}
    options: Json = {
        "read_only": {"type": "boolean", "description": "Refuses what does not only read."},
        "format": {
            "enum": ["rows", "json"],
            "description": "What a row is: an array, or an object.",
        },
    }
    alone = {
        "type": "object",
        "required": ["sql"],
        "properties": {
            "sql": {"type": "string"},
            "params": _VALUES,
            "consistency": {"type": "string"},
            **options,
        },
        "additionalProperties": False,
    }
    together = {
        "type": "object",
        "required": ["statements"],
        "properties": {
            "statements": {
                "type": "array",
                "minItems": 1,
                "items": {"oneOf": [{"type": "string"}, statement]},
            },
            "isolation": {"enum": ["read committed", "repeatable read", "serializable"]},
            **options,
        },
        "additionalProperties": False,
    }
    results = {"type": "object", "properties": {"results": {"type": "array", "items": answer}}}
    return "/api/v1/sql", {
        "post": {
            "operationId": "sql",
            "tags": ["SQL"],
            "summary": "Run a statement, or several as one transaction on one shard",
            "parameters": asked_with(WRITING),
            "requestBody": json_body({"oneOf": [alone, together]}),
            "responses": {"200": json_answer({"oneOf": [answer, results]}, "Done."), **responses()},
        }
    }


def other_paths(routes: Iterable[Route], described: Sequence[str]) -> Iterator[tuple[str, Json]]:
    """Every route that is not below a path that is described already, by what its handler says."""
    for route in routes:
        if route.method == "OPTIONS" or route.template.startswith(tuple(described)):
            continue
        operation: Json = {
            "operationId": component(route.method.lower(), *route.template.split("/")[1:]),
            "tags": [_tag(route.template)],
            "summary": _summary(route),
            "responses": {
                "200": {"description": "Done."},
                **responses(postgrest=route.dialect is Dialect.POSTGREST),
            },
            "security": [{}] if route.entry is Entry.OPEN else SECURITY,
        }
        if variables := _VARIABLE.findall(route.template):
            operation["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in variables
            ]
        if route.method in {"POST", "PUT", "PATCH"}:
            operation["requestBody"] = json_body({}, required=False)
        yield route.template, {route.method.lower(): operation}


def _tag(template: str) -> str:
    if template.startswith("/api/v1/"):
        return template.split("/")[3]
    return "rest" if template.startswith("/rest/v1") else "health"


def _summary(route: Route) -> str:
    told = route.summary or route.handler.__doc__ or f"{route.method} {route.template}"
    return told.splitlines()[0].strip().rstrip(".:")
