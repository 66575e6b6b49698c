"""A filter's value as the argument of its parameter: text, a list, or PostgreSQL's array literal.

Values come from a query string (text) or from the body of POST `/query` (JSON, see `exact_json`).
What goes to PostgreSQL is text that it parses itself, so that bad literals are its own errors.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from server.rest import exact_json
from server.rest.errors import ParameterMalformed, Spot

Convert = Callable[[Any], object]
"""From a value to an argument."""

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?=,|$)', re.DOTALL)


def same(value: Any) -> object:
    """The value itself."""
    return value


def text(value: Any) -> str:
    """Text as given; JSON values as their text."""
    return value if isinstance(value, str) else exact_json.dumps(value)


def starred(value: Any) -> str:
    """A pattern, `*` meaning `%`."""
    return text(value).replace("*", "%")


def unquoted(quoted: str) -> str:
    """The text between double quotes, with backslash escapes resolved."""
    return _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted


def listed(value: Any) -> list[str | None]:
    """The elements of `(a,"b,c",d)`, or of a JSON array.

    A quote that does not surround a whole element is part of it.

    Raises:
        ParameterMalformed: The text is not in parentheses.
    """
    if isinstance(value, list):
        return [None if item is None else text(item) for item in value]
    if not isinstance(value, str) or value[:1] != "(" or value[-1:] != ")" or len(value) < 2:
        raise ParameterMalformed(Spot("filter", f"in.{text(value)}", 3), "a list in parentheses")
    inner = value[1:-1]
    if '"' not in inner:
        return list(inner.split(",")) if inner else []
    return list(_elements(inner))


def spelled_array(value: Any) -> str:
    """An array literal `{…}` from `(x,y)`, `["x","y"]` or a JSON array; other text as it is.

    Elements of `(x,y)` and of JSON are quoted, so that any text is one element.
    """
    if isinstance(value, list):
        return array_literal(value)
    spelled = text(value)
    if spelled[:1] == "(" and spelled[-1:] == ")":
        return array_literal(listed(spelled))
    if spelled[:1] == "[" and spelled[-1:] == "]":
        try:
            items = exact_json.loads(spelled)
        except (ValueError, RecursionError):
            return spelled
        return array_literal(items) if isinstance(items, list) else spelled
    return spelled


def array_literal(items: list[Any]) -> str:
    """PostgreSQL's literal of an array; nested lists are further dimensions."""
    return "{" + ",".join(_element(item) for item in items) + "}"


def _element(item: Any) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, list):
        return array_literal(item)
    escaped = text(item).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _elements(inner: str) -> list[str | None]:
    found: list[str | None] = []
    position = 0
    while True:
        quoted = _QUOTED.match(inner, position)
        if quoted is not None:
            found.append(unquoted(quoted[1]))
            position = quoted.end()
        else:
            end = inner.find(",", position)
            end = len(inner) if end < 0 else end
            found.append(inner[position:end])
            position = end
        if position >= len(inner):
            return found
        position += 1
        if position == len(inner):
            found.append("")
            return found
