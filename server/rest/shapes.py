"""A query string without its values: what makes two requests the same statement.

Most requests are plain filters (`id=eq.42&select=id,name&limit=1`). Cutting their values out costs
a few microseconds, parsing them a hundred; so what was parsed and built for a shape is kept. A
shape is only ever a short cut: whatever it cannot cut cleanly is parsed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from server.rest.query_text import decoded


@dataclass(frozen=True, slots=True)
class Cuttable:
    """Which parameters of a dialect can be cut, and how."""

    whole: Collection[str]
    """Parameters whose text is part of the shape."""
    never: Collection[str]
    """Parameters that are parsed each time."""
    operators: Collection[str]
    """Operators whose value is one argument, whatever it is."""


class Cut(NamedTuple):  # cheaper to make than a frozen dataclass, and made for each request
    """The shape, and what was cut out of it, in the order of the text."""

    shape: tuple[str, ...]
    values: list[str]
    limit: str | None
    offset: str | None


MAX_QUERY_CHARS: Final = 1024
"""Longer queries are not worth remembering; what is remembered stays within a few megabytes."""


def cut(query: str, cuttable: Cuttable) -> Cut | None:
    """The query's shape and values, or None when it must be parsed.

    Raises:
        RequestMalformed: A value is not percent-encoded UTF-8.
    """
    shape: list[str] = []
    values: list[str] = []
    if not query:
        return Cut((), values, None, None)
    if len(query) > MAX_QUERY_CHARS:
        return None
    limit = offset = None
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if name in cuttable.whole:
            shape.append(part)
        elif name == "limit" and limit is None:
            limit = decoded(value)
        elif name == "offset" and offset is None:
            offset = decoded(value)
        elif not equals or name in cuttable.never or not name.isidentifier():
            return None
        else:
            operator, dot, operand = value.partition(".")
            if dot and operator in cuttable.operators:
                shape.append(f"{name}={operator}.")
                values.append(decoded(operand))
            elif operator == "is":
                shape.append(part)
            else:
                return None
    return Cut(tuple(shape), values, limit, offset)
