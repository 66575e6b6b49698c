"""JSON whose numbers keep their digits: reading, writing and cutting without loss."""

import json
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final

WHITE: Final = " \t\n\r"


class Number(str):
    """A JSON number as its own text."""

    __slots__ = ()


encode: Final = encode_basestring
"""Text as a JSON string, not limited to ASCII."""


def _no_constant(name: str) -> None:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


def loads(text: str) -> Any:
    """The value of JSON text, its numbers as `Number`.

    Raises:
        ValueError: The text is no JSON.
        RecursionError: It nests deeper than the interpreter's stack.
    """
    return _DECODER.decode(text)


def dumps(value: Any) -> str:
    """Compact JSON text of what `loads` gives. Objects and arrays may also hold int and float."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Number():
            return str(value)
        case str():
            return encode(value)
        case dict():
            return "{" + ",".join(f"{encode(k)}:{dumps(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(dumps(item) for item in value) + "]"
        case _:
            return json.dumps(value)


def without_nulls(value: Any) -> Any:
    """The value without the members of objects that are null, at any depth."""
    match value:
        case dict():
            return {key: without_nulls(item) for key, item in value.items() if item is not None}
        case list():
            return [without_nulls(item) for item in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Member:
    """One value of an object: decoded, and its exact text."""

    value: Any
    text: str


def members(text: str) -> dict[str, Member]:
    """The members of the JSON object `text`, which is known to be valid. The last of a name wins."""
    found: dict[str, Member] = {}
    position = _skip(text, text.index("{") + 1)
    while text[position] != "}":
        key, position = _DECODER.raw_decode(text, position)
        position = _skip(text, _skip(text, position) + 1)  # past the colon
        value, end = _DECODER.raw_decode(text, position)
        found[key] = Member(value, text[position:end])
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def elements(text: str) -> list[str]:
    """The exact texts of the elements of the JSON array `text`, which is known to be valid."""
    found: list[str] = []
    position = _skip(text, text.index("[") + 1)
    while text[position] != "]":
        _, end = _DECODER.raw_decode(text, position)
        found.append(text[position:end])
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def _skip(text: str, position: int) -> int:
    while text[position] in WHITE:
        position += 1
    return position
