"""Tables and their columns as JSON Schema 2020-12, which OpenAPI 3.1 speaks."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

from server.openapi.shown import ShownColumn, ShownTable
from server.openapi.types import default_value, element, json_type

Json = dict[str, Any]

_FORMATS: Final = {
    "smallint": "int32",
    "integer": "int32",
    "bigint": "int64",
    "real": "float",
    "double precision": "double",
    "date": "date",
    "uuid": "uuid",
}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


def component(*names: str) -> str:
    """The key of a component: only some characters may be in it, and no two names share one."""
    joined = ".".join(names)
    safe = _UNSAFE.sub("_", joined)
    if safe == joined:
        return safe
    return f"{safe}.{hashlib.blake2b(joined.encode(), digest_size=4).hexdigest()}"


def ref(kind: str, key: str) -> Json:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{key}"}


def table_schemas(table: ShownTable) -> Iterator[tuple[str, Json]]:
    """A row as it is read, inserted and updated."""
    key = component(table.schema, table.relation)
    properties = {column.name: column_schema(column) for column in table.columns}
    about = table.comment or f"A row of {table.schema}.{table.relation}"
    yield key, {"type": "object", "description": about, "properties": properties}
    if not table.writable:
        return
    written = {
        column.name: properties[column.name] for column in table.columns if not column.generated
    }
    needed = [column.name for column in table.columns if not column.optional]
    inserted: Json = {
        "type": "object",
        "description": f"A new row of {table.schema}.{table.relation}",
        "properties": written,
        "additionalProperties": False,
    }
    yield f"{key}.insert", inserted | ({"required": needed} if needed else {})
    changed = {name: value for name, value in written.items() if name != table.tenant_column}
    yield (
        f"{key}.update",
        {
            "type": "object",
            "description": f"New values of {table.schema}.{table.relation}",
            "properties": changed,
            "additionalProperties": False,
        },
    )


def column_schema(column: ShownColumn) -> Json:
    """One column. NULL is a value of it unless the table forbids that."""
    found = value_schema(column.type)
    if column.labels:
        found["enum"] = [*column.labels, *(() if column.not_null else (None,))]
    if column.max_length is not None and found.get("type") == "string":
        found["maxLength"] = column.max_length
    if not column.not_null and "type" in found:
        found["type"] = [found["type"], "null"]
    for value in default_value(column.type, column.default):
        if json_type(column.type) != "string" or column.labels:
            found["default"] = value
    if column.generated:
        found["readOnly"] = True
    if (told := _told(column)) is not None:
        found["description"] = told
    return found


def value_schema(name: str) -> Json:
    """A value of one of PostgreSQL's types."""
    found: Json = {"x-postgres-type": name}
    kind = json_type(name)
    if kind is None:
        return found
    found["type"] = kind
    if kind == "array":
        found["items"] = value_schema(element(name))
    elif name in _FORMATS:
        found["format"] = _FORMATS[name]
    return found


def _told(column: ShownColumn) -> str | None:
    notes = []
    if column.comment is not None:
        notes.append(column.comment)
    if column.in_key:
        notes.append("Part of the primary key.")
    if column.refers_to is not None:
        notes.append(f"Refers to `{'.'.join(column.refers_to)}`.")
    if column.default is not None and json_type(column.type) == "string":
        notes.append(f"Default: `{column.default}`.")
    return "\n\n".join(notes) or None
