"""PostgreSQL's types as those of JSON documents."""

import json
from typing import Any, Final

_TYPES: Final[dict[str, str | None]] = {
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "json": None,
    "jsonb": None,
}

ARRAY: Final = "[]"


def json_type(name: str) -> str | None:
    """The JSON type of values of a type; None: any. What is no number is text."""
    if name.endswith(ARRAY):
        return "array"
    return _TYPES.get(name, "string")


def element(name: str) -> str:
    """The type of the members of an array."""
    return name.removesuffix(ARRAY)


def default_value(name: str, expression: str | None) -> tuple[Any, ...]:
    """The value that a default has as JSON, in a tuple; empty where it has none.

    Of what is text in JSON, an expression is given as it stands: `now()`.
    """
    if expression is None:
        return ()
    if json_type(name) == "string":
        return (_literal(name, expression),)
    try:
        value = json.loads(expression)
    except ValueError:
        return ()
    return (value,)


def _literal(name: str, expression: str) -> str:
    """A constant without its quotes and its cast to the type, whatever schema that names."""
    bare = name.rpartition(".")[2]
    for cast in (f"::{name}", f"::{bare}"):
        text = expression.removesuffix(cast)
        if text != expression:
            return text.strip("'")
    return expression
