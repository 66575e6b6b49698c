"""JSON values as a statement's arguments: sent as text, read by PostgreSQL's own input functions.

PostgreSQL says which type each `$n` has. Text and JSON types take the value's text as it is, small
whole numbers go as numbers (tenant keys and LIMIT are read from them), and every other parameter
becomes `($n::text::type)`; JSON arrays for array types become `($n::text[]::type[])`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from router import Description, JsonRows, OutputColumn, StatementFailed, cast_parameters
from server.rest import exact_json

Convert = Callable[[Any], object]

_INTEGERS: Final[Mapping[str, str]] = {"int2": "smallint", "int4": "integer", "int8": "bigint"}
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "name", "unknown", "xml"})
_JSON: Final = frozenset({"json", "jsonb"})
_WHOLE: Final = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]{1,40}[ \t\n\v\f\r]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shape:
    """A statement as it is sent, once its types are known."""

    sql: str
    converts: tuple[Convert, ...]
    columns: tuple[OutputColumn, ...]

    def args(self, params: Sequence[Any]) -> tuple[object, ...]:
        """The arguments for these values, which are of the kinds that the shape was made for.

        Raises:
            StatementFailed: 22P02, a value is no whole number where one is needed.
        """
        return tuple(convert(value) for convert, value in zip(self.converts, params, strict=True))


def kinds_of(params: Sequence[Any]) -> str:
    """What a shape depends on of the values: which of them are arrays."""
    return "".join("a" if isinstance(value, list) else "s" for value in params)


def shape_of(sql: str, params: Sequence[Any], description: Description) -> Shape:
    """The shape of a statement for values of these kinds."""
    casts: dict[int, str] = {}
    converts: list[Convert] = []
    for number, (type_, value) in enumerate(
        zip(description.parameters, params, strict=True), start=1
    ):
        convert, cast = _converted(type_, is_list=isinstance(value, list))
        converts.append(convert)
        if cast is not None:
            casts[number] = cast
    text = cast_parameters(sql, casts) if casts else sql
    return Shape(text, tuple(converts), description.columns)


def planned(params: Sequence[Any]) -> tuple[object, ...]:
    """The values as the planner reads them, before PostgreSQL has said their types."""
    return tuple(map(_planned, params))


def _converted(type_: str, *, is_list: bool) -> tuple[Convert, str | None]:
    """How a value of the type is sent, and what is written behind its `$n`."""
    if type_ in _INTEGERS:
        return _integer(_INTEGERS[type_]), None
    if type_ in _JSON:
        return _json, None
    if type_ in _TEXTS:
        return text_of, None
    if is_list and type_.endswith("[]"):
        return _texts, "text[]" if type_ == "text[]" else f"text[]::{type_}"
    return text_of, f"text::{type_}"


def text_of(value: Any) -> str | None:
    """The value's text: that of a string is the string; objects and arrays are JSON."""
    match value:
        case None:
            return None
        case str():  # numbers too
            return str(value)
        case bool():
            return "true" if value else "false"
        case _:
            return exact_json.dumps(value)


def _texts(value: Any) -> object:
    """The same for each element of an array, at any depth of arrays."""
    return [_texts(item) for item in value] if isinstance(value, list) else text_of(value)


def _json(value: Any) -> object:
    """Objects in an array are rows: the planner may have to look for tenant keys in them."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return JsonRows(exact_json.dumps(value), value)
    return text_of(value)


def _integer(type_: str) -> Convert:
    def convert(value: Any) -> int | None:
        text = text_of(value)
        if text is None:
            return None
        if _WHOLE.fullmatch(text) is None:
            raise StatementFailed("22P02", f'invalid input syntax for type {type_}: "{text[:80]}"')
        return int(text)

    return convert


def _planned(value: Any) -> object:
    match value:
        case exact_json.Number():
            return int(value) if _WHOLE.fullmatch(value) else str(value)
        case list() if value and all(isinstance(row, dict) for row in value):
            return JsonRows(exact_json.dumps(value), value)
        case list():
            return [_planned(item) for item in value]
        case dict():
            return exact_json.dumps(value)
        case _:
            return value
